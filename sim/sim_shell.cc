#include "sim/sim_shell.h"

#include <utility>

namespace waferstream {

SimShell::SimShell(const Plan& plan, std::optional<uint64_t> seed, Parallel* parallel)
    : world_{{}, Delays(seed), parallel, {}, {}, {}}, fabric_(plan, &world_) {}

void SimShell::Add(Role role, int process, RoleCore* core) {
  hosts_.push_back(std::make_unique<CoreHost>(Endpoint{role, process, 0}, core, &world_, &fabric_));
  fabric_.Attach(hosts_.back().get());
}

void SimShell::Start(SimWorld::ReportHandler on_report) {
  world_.on_report = std::move(on_report);
  for (const auto& host : hosts_) host->Start();  // what they cause takes at least a nanosecond
}

void SimShell::Commit(const CommitRequest& request) {
  for (const auto& host : hosts_) {
    if (host->self().role != MEMORYX) continue;
    world_.queue.After(world_.delays.NextNs(),
                       [host = host.get(), request] { host->Commit(request); });
  }
}

absl::Status SimShell::Run() {
  while (world_.failure.ok() && world_.queue.RunNext()) {
  }
  return world_.failure;
}

void SimShell::Fail(const absl::Status& status) { world_.failure.Update(status); }

}  // namespace waferstream
