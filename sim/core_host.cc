#include "sim/core_host.h"

#include <cstring>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "sim/virtual_fabric.h"

namespace waferstream {

CoreHost::CoreHost(Endpoint self, RoleCore* core, SimWorld* world, VirtualFabric* fabric)
    : self_(self), core_(core), world_(world), fabric_(fabric) {}

void CoreHost::Start() {
  Handle(Event::kStart, 0, [this](Turn& turn) {
    core_->Start(turn);
    return absl::OkStatus();
  });
}

void CoreHost::Commit(const CommitRequest& request) {
  Handle(Event::kCommit, request.step(),
         [&](Turn& turn) { return core_->OnCommit(request, turn); });
}

void CoreHost::Receive(ChannelId channel, const FrameHeader& header, const std::byte* payload) {
  Handle(Event::kFrame, Hash64(Encode(header).data(), kFrameHeaderBytes), [&](Turn& turn) {
    const absl::StatusOr<std::span<std::byte>> buffer = core_->BufferFor(channel, header);
    if (!buffer.ok()) return buffer.status();
    WS_CHECK(buffer->size() == header.length);
    std::memcpy(buffer->data(), payload, header.length);
    return core_->OnFrame(channel, header, turn);
  });
}

void CoreHost::Credited(ChannelId channel, FrameKind kind, const Credit& credit) {
  Handle(Event::kCredit, static_cast<uint64_t>(channel), [&](Turn& turn) {
    core_->OnCredit(channel, kind, credit, turn);
    return absl::OkStatus();
  });
}

void CoreHost::Sent(uint64_t token) {
  Handle(Event::kSent, token, [&](Turn& turn) {
    core_->OnSent(token, turn);
    return absl::OkStatus();
  });
}

void CoreHost::Handle(Event event, uint64_t detail,
                      const std::function<absl::Status(Turn&)>& call) {
  const uint64_t record[] = {
      static_cast<uint64_t>(world_->queue.now_ns()), static_cast<uint64_t>(self_.role),
      static_cast<uint64_t>(self_.process), static_cast<uint64_t>(event), detail};
  world_->trace.Update(record, sizeof(record));
  Turn turn;
  turn.now_s = static_cast<double>(world_->queue.now_ns()) * 1e-9;
  if (const absl::Status status = call(turn); !status.ok()) return Fail(status);
  for (Action& action : turn.actions) Perform(action);
}

void CoreHost::Perform(Action& action) {
  if (const auto* send = std::get_if<SendAction>(&action)) {
    fabric_->Send(this, *send);
  } else if (const auto* grant = std::get_if<GrantAction>(&action)) {
    fabric_->Grant(this, *grant);
  } else if (const auto* report = std::get_if<ReportAction>(&action)) {
    world_->on_report(self_, report->report);
  } else {
    ComputeAction& compute = std::get<ComputeAction>(action);
    const Lane lane = compute.lane;
    auto& queue = lanes_[static_cast<size_t>(lane)];
    queue.push_back(std::move(compute));
    if (queue.size() == 1) RunLane(lane);
  }
}

void CoreHost::RunLane(Lane lane) {
  auto& queue = lanes_[static_cast<size_t>(lane)];
  const auto end = [this, lane, &queue](const absl::Status& status) {
    const uint64_t id = queue.front().id;
    queue.pop_front();
    if (!queue.empty()) RunLane(lane);
    Handle(Event::kDone, id, [&](Turn& turn) { return core_->OnComputeDone(id, status, turn); });
  };
  const int64_t takes_ns = world_->delays.NextNs();
  if (world_->delays.Coin()) {
    world_->queue.After(takes_ns,
                        [this, &queue, end] { end(queue.front().work(*world_->parallel)); });
  } else {
    world_->queue.After(takes_ns,
                        [end, status = queue.front().work(*world_->parallel)] { end(status); });
  }
}

void CoreHost::Fail(const absl::Status& status) {
  world_->failure.Update(absl::Status(
      status.code(),
      absl::StrCat(Role_Name(self_.role), " ", self_.process, ": ", status.message())));
}

}  // namespace waferstream
