// A role for tests of the shell: as soon as it is granted a slot it sends a frame, and every frame
// it gets is checked on a lane before it grants the next slot.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "node/role.h"

namespace waferstream {

// What a test sets before, and reads after. Shared by all cores of one role.
struct ToyState {
  uint64_t rounds = 20;  // frames that each end receives before it reports
  std::function<void()> during_prepare = [] {};
  std::function<absl::Status()> during_work = [] { return absl::OkStatus(); };
  std::atomic<int> prepared{0};
  std::atomic<int> started{0};
  std::atomic<int> commits{0};
  std::atomic<int> cores{0};              // alive
  std::atomic<int> working{0};            // pieces of work running
  std::atomic<bool> died_at_work{false};  // a core was destroyed under its own work
};

class ToyCore final : public RoleCore {
 public:
  static constexpr size_t kBytes = 3000;  // of every payload

  ToyCore(const PrepareRequest& request, const Plan& plan, ToyState& state)
      : epoch_(request.epoch()), state_(state), payload_(kBytes, std::byte{7}) {
    ++state_.cores;
    const auto here = [&](const Endpoint& end) {
      return end.role == request.role() && end.process == static_cast<int>(request.index());
    };
    for (const Channel& channel : plan.channels) {
      if (here(channel.up)) AddEnd(channel.id, FrameKind::kGradient);
      if (here(channel.down)) AddEnd(channel.id, FrameKind::kTile);
    }
  }
  ~ToyCore() override {
    if (state_.working > 0) state_.died_at_work = true;
    --state_.cores;
  }

  void Start(Turn& turn) override {
    ++state_.started;
    for (const auto& [key, end] : ends_) Grant(key, turn);
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override {
    if (header.length != kBytes) return absl::InvalidArgumentError("wrong length");
    return std::span<std::byte>(ends_.at({channel, header.kind}).buffer);
  }
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header, const std::byte*,
                       Turn& turn) override {
    const Key key{channel, header.kind};
    End& end = ends_.at(key);
    if (header.step != end.received) return absl::DataLossError("a frame is missing");
    ++end.received;
    turn.actions.push_back(ComputeAction{
        .lane = channel % 2 == 0 ? Lane::kCompute : Lane::kDisk,
        .id = end.id,
        .work = [&end, &state = state_](Parallel&) { return Check(end.buffer, state); }});
    return absl::OkStatus();
  }
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) override {
    if (credit.slots[kLarge] != 1) return;
    FrameHeader header;
    header.kind = kind;
    header.epoch = epoch_;
    header.step = sent_[{channel, kind}]++;
    header.length = kBytes;
    turn.actions.push_back(SendAction{channel, header, payload_.data(), 0});
  }
  void OnSent(uint64_t, Turn&) override {}
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) override {
    if (!status.ok()) return status;
    if (ends_.at(keys_[id]).received < state_.rounds) {
      Grant(keys_[id], turn);
    } else if (++done_ == ends_.size()) {
      ReportAction action;
      action.report.mutable_wafer_step()->set_step(state_.rounds);
      turn.actions.push_back(std::move(action));
    }
    return absl::OkStatus();
  }
  absl::Status OnCommit(const CommitRequest&, Turn&) override {
    ++state_.commits;
    return absl::OkStatus();
  }

 private:
  using Key = std::pair<ChannelId, FrameKind>;  // what an end receives
  struct End {
    uint64_t id = 0;
    uint64_t received = 0;
    std::vector<std::byte> buffer;
  };

  void AddEnd(ChannelId channel, FrameKind receives) {
    ends_[{channel, receives}] = {keys_.size(), 0, std::vector<std::byte>(kBytes)};
    keys_.push_back({channel, receives});
  }
  void Grant(const Key& key, Turn& turn) {
    turn.actions.push_back(GrantAction{key.first, key.second, {.slots = {0, 1}}});
  }
  static absl::Status Check(std::vector<std::byte>& buffer, ToyState& state) {
    ++state.working;
    absl::Status status = state.during_work();
    for (std::byte& byte : buffer) {
      if (std::exchange(byte, std::byte{0}) != std::byte{7})
        status = absl::DataLossError("payload");
    }
    --state.working;
    return status;
  }

  const uint32_t epoch_;
  ToyState& state_;
  std::vector<std::byte> payload_;
  std::map<Key, End> ends_;
  std::vector<Key> keys_;  // by End::id
  std::map<Key, uint64_t> sent_;
  size_t done_ = 0;
};

class ToyRole final : public NodeRole {
 public:
  explicit ToyRole(Role kind) : kind_(kind) {}

  Role kind() const override { return kind_; }
  absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest& request, const Plan& plan,
                                                    PrepareReply* reply) override {
    state.during_prepare();
    reply->set_resident_bytes(100 + static_cast<uint64_t>(++state.prepared));
    return std::make_unique<ToyCore>(request, plan, state);
  }
  absl::StatusOr<SealReply> Seal(const SealRequest& request) override {
    SealReply reply;
    reply.set_path(absl::StrCat("step-", request.steps_done()));
    return reply;
  }

  ToyState state;

 private:
  const Role kind_;
};

}  // namespace waferstream
