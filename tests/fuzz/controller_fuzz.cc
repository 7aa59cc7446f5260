// The controller's core under messages of any content in any order. Its own disk and the calls to
// nodes answer at once, so that a job gets as far as the messages let it.
// The input is a list of messages: one byte of kind, two of length (little-endian), the bytes.
#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/controller_core.h"
#include "plan/plan.h"
#include "plan/test_job.h"
#include "proto/controller.pb.h"
#include "tests/fuzz/message.h"

namespace waferstream {
namespace {

// What is asked for is planned, but only so large that an input takes milliseconds.
constexpr size_t kTilesMax = 4096;

class Controller {
 public:
  Controller() {
    Do([&](ControllerTurn& turn) {
      core_ = std::make_unique<ControllerCore>(ControllerCore::Options{"/state"}, RestoredState(),
                                               turn);
    });
  }

  void Message(int kind, std::string_view bytes) {
    switch (kind % 8) {
      case 0:
        return OnMessage<RegisterRequest>(bytes, [&](const auto& request, ControllerTurn& turn) {
          (void)core_->OnRegister(request, turn);
        });
      case 1:
        return OnMessage<HeartbeatRequest>(bytes, [&](const auto& request, ControllerTurn& turn) {
          (void)core_->OnHeartbeat(request, turn);
        });
      case 2:
        return OnMessage<NodeReport>(bytes, [&](const auto& report, ControllerTurn& turn) {
          (void)core_->OnReport(report, turn);
        });
      case 3:
        return Submit(bytes);
      case 4:
        return OnMessage<JobRef>(bytes, [&](const auto& ref, ControllerTurn& turn) {
          core_->OnCancel(ref.job_id(), turn);
        });
      case 6:
        return OnMessage<ResumeRequest>(bytes, [&](const auto& request, ControllerTurn& turn) {
          (void)core_->OnResume(request, turn);
        });
      case 7:
        return OnMessage<CordonRequest>(bytes, [&](const auto& request, ControllerTurn& turn) {
          (void)core_->OnCordon(request, turn);
        });
      default:
        now_s_ += static_cast<double>(bytes.size());
        return Do([&](ControllerTurn& turn) { core_->OnTimer(turn); });
    }
  }

 private:
  template <typename Message, typename Event>
  void OnMessage(std::string_view bytes, Event event) {
    Message message;
    if (!ParseMessage(bytes, message)) return;
    Do([&](ControllerTurn& turn) { event(message, turn); });
  }

  void Submit(std::string_view bytes) {
    SubmitRequest request;
    if (!ParseMessage(bytes, request)) return;
    auto plan = Compile(request.job(), RequestedShape(request.job()));
    if (!plan.ok() || plan->tiles.size() > kTilesMax) return;
    Do([&](ControllerTurn& turn) {
      core_->OnSubmit(request.request_id(), core_->NewIdentity("fuzz"),
                      {.plan = *std::move(plan), .submitted = request.job()}, turn);
    });
  }

  template <typename Event>
  void Do(Event event) {
    Take(event);
    while (!writes_.empty() || !calls_.empty()) {
      if (!writes_.empty()) {
        const uint64_t token = writes_.front();
        writes_.pop_front();
        Take([&](ControllerTurn& turn) { core_->OnPersisted(token, absl::OkStatus(), turn); });
        continue;
      }
      NodeCallResult result = {calls_.front(), absl::OkStatus(), Reply(calls_.front().request)};
      calls_.pop_front();
      Take([&](ControllerTurn& turn) { core_->OnCallDone(result, turn); });
    }
  }

  static NodeReply Reply(const NodeRequest& request) {
    if (std::holds_alternative<PrepareRequest>(request)) return PrepareReply();
    if (std::holds_alternative<SealRequest>(request)) return SealReply();
    return Empty();
  }

  template <typename Event>
  void Take(Event event) {
    ControllerTurn turn;
    turn.now = {now_s_, now_s_};
    event(turn);
    calls_.insert(calls_.end(), turn.calls.begin(), turn.calls.end());
    writes_.insert(writes_.end(), turn.persist_tokens.begin(), turn.persist_tokens.end());
  }

  double now_s_ = 100;
  std::unique_ptr<ControllerCore> core_;
  std::deque<NodeCall> calls_;
  std::deque<uint64_t> writes_;
};

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Controller controller;
  while (rest.size() >= 3) {
    uint16_t bytes;
    std::memcpy(&bytes, rest.data() + 1, sizeof(bytes));
    controller.Message(static_cast<uint8_t>(rest[0]), rest.substr(3, bytes));
    rest.remove_prefix(std::min<size_t>(3 + size_t{bytes}, rest.size()));
  }
  return 0;
}
