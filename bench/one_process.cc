// What a wafer's step takes where nobody streams anything: its core and kernels in one process,
// every tile at hand, every gradient dropped. Beside a job on a cluster it shows what streaming
// costs.
//   one_process JOB.yaml PRECISION GLOBAL_BATCH MICRO_BATCH THREADS
// One line of JSON: the median step, the first left out. Weights and tokens are arbitrary.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/arena.h"
#include "base/status.h"
#include "base/vector_math.h"
#include "base/worker_pool.h"
#include "core/stream_cursor.h"
#include "plan/job_yaml.h"
#include "plan/plan.h"
#include "wafer_node/wafer_core.h"

namespace waferstream {
namespace {

constexpr uint32_t kEpoch = 1;
constexpr int kSteps = 3;

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "one_process: %s\n", std::string(value.status().message()).c_str());
  std::exit(1);
}

class SomeTokens final : public TokenSource {
 public:
  absl::Status CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) override {
    for (int64_t t = 0; t < context; ++t) {
      ids[t] = static_cast<int32_t>((n * 31 + t * 7) % 256);
      targets[t] = static_cast<int32_t>((n * 31 + t * 7 + 7) % 256);
    }
    return absl::OkStatus();
  }
  absl::Status CopyValidation(uint64_t, int64_t, int32_t*, int32_t*) override {
    return absl::UnimplementedError("no validation");
  }
};

// As many small values as a tile can have, of the wire's type.
std::vector<std::byte> SomeWeights(const Plan& plan) {
  const size_t bytes = std::max(plan.tile_slot_bytes[kSmall], plan.tile_slot_bytes[kLarge]);
  std::vector<float> values(bytes / BytesOf(plan.wire));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.04f * (static_cast<float>(i * 2654435761u % 1024) / 1024 - 0.5f);
  }
  std::vector<std::byte> weights(bytes);
  if (plan.wire == Dtype::kBf16) {
    ConvertToBf16(values.data(), reinterpret_cast<Bf16*>(weights.data()), values.size());
  } else {
    std::memcpy(weights.data(), values.data(), bytes);
  }
  return weights;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Alone {
 public:
  Alone(const Plan& plan, int threads)
      : plan_(plan),
        weights_(SomeWeights(plan)),
        pool_(threads),
        core_(plan, {.epoch = kEpoch}, Must(Arena::Create(plan.sram.bytes)),
              std::make_unique<SomeTokens>()),
        next_(plan, 0, TileCursor::kAnyone, kEpoch, 0) {
    for (const Channel& channel : plan.channels) {
      if (channel.down.role == WAFER) channel_ = channel.id;
    }
  }

  // Seconds of every step.
  std::vector<double> Run() {
    Call([&](Turn& turn) { core_.Start(turn); });
    Call([&](Turn& turn) {
      core_.OnCredit(channel_, FrameKind::kGradient, plan_.channels[channel_].gradient_window,
                     turn);
    });
    while (DeliverTile() || !due_.empty()) {
      if (due_.empty()) continue;
      const std::function<void(Turn&)> event = std::move(due_.front());
      due_.pop_front();
      Call(event);
    }
    return steps_;
  }

 private:
  void Call(const std::function<void(Turn&)>& event) {
    Turn turn;
    turn.now_s = Now();
    event(turn);
    for (Action& action : turn.actions) std::visit([this](auto& what) { Do(what); }, action);
  }

  void Do(const WaitedAction&) {}
  void Do(const ReturnAction&) {}
  void Do(const GrantAction& grant) { credit_.Add(grant.credit); }
  void Do(const ReportAction& action) {
    if (action.report.has_wafer_step()) steps_.push_back(action.report.wafer_step().step_seconds());
  }
  void Do(const ComputeAction& compute) {
    due_.push_back([this, compute](Turn& turn) {
      const absl::Status computed = compute.work(pool_);
      turn.now_s = Now();
      Require(core_.OnComputeDone(compute.id, computed, turn));
    });
  }
  void Do(const SendAction& send) {
    const SlotClass slot = plan_.tiles[send.header.tile].slot;
    due_.push_back([this, slot, token = send.token](Turn& turn) {
      core_.OnSent(token, turn);
      Credit again;
      again.slots[slot] = 1;
      core_.OnCredit(channel_, FrameKind::kGradient, again, turn);
    });
  }

  // The next one, if there is a slot for it.
  bool DeliverTile() {
    if (next_.done()) return false;
    const FrameHeader header = next_.Header();
    const SlotClass slot = plan_.tiles[header.tile].slot;
    if (!credit_.Has(slot)) return false;
    credit_.Spend(slot);
    next_.Advance();
    const std::span<std::byte> buffer = Must(core_.BufferFor(channel_, header));
    std::memcpy(buffer.data(), weights_.data(), buffer.size());
    Call([&](Turn& turn) { Require(core_.OnFrame(channel_, header, buffer.data(), turn)); });
    return true;
  }

  static void Require(const absl::Status& status) {
    if (!status.ok()) Must(absl::StatusOr<int>(status));
  }

  const Plan& plan_;
  const std::vector<std::byte> weights_;
  WorkerPool pool_;
  WaferCore core_;
  TileCursor next_;
  ChannelId channel_ = 0;
  CreditBalance credit_;
  std::deque<std::function<void(Turn&)>> due_;
  std::vector<double> steps_;
};

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "one_process JOB.yaml PRECISION GLOBAL_BATCH MICRO_BATCH THREADS\n");
    return 2;
  }
  const JobSpec job =
      Must(ReadJobFile(argv[1], {absl::StrCat("training.precision=", argv[2]),
                                 absl::StrCat("training.global_batch=", argv[3]),
                                 absl::StrCat("training.micro_batch=", argv[4]),
                                 absl::StrCat("training.steps=", kSteps), "cluster.wafers=1",
                                 absl::StrCat("cluster.wafer.kernel_threads=", argv[5])}));
  const Plan plan = Must(Compile(job, {}));
  std::vector<double> steps =
      Alone(plan, static_cast<int>(job.cluster().wafer().kernel_threads())).Run();
  std::sort(steps.begin() + 1, steps.end());
  const double median = steps[1 + (steps.size() - 1) / 2];
  const double tokens = double{1} * job.training().global_batch() * job.model().context();
  std::printf("{\"step_seconds\": %.6f, \"tokens_per_second\": %.3f}\n", median, tokens / median);
  return 0;
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
