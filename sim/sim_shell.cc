#include "sim/sim_shell.h"

#include <utility>

namespace waferstream {

SimShell::SimShell(const Plan& plan, std::optional<uint64_t> seed, Parallel* parallel,
                   CoreHost::ReportHandler on_report)
    : world_{{}, Delays(seed), parallel, {}, {}},
      fabric_(plan, &world_),
      on_report_(std::move(on_report)) {}

void SimShell::Add(Role role, int process, RoleCore* core) {
  hosts_.push_back(
      std::make_unique<CoreHost>(Endpoint{role, process, 0}, core, &world_, &fabric_, on_report_));
  fabric_.Attach(hosts_.back().get());
}

void SimShell::Start() {
  for (const auto& host : hosts_) host->Start();  // what they cause takes at least a nanosecond
}

void SimShell::Commit(const CommitRequest& request) {
  for (const auto& host : hosts_) {
    if (host->self().role != MEMORYX) continue;
    world_.queue.After(world_.delays.NextNs(),
                       [host = host.get(), request] { host->Commit(request); });
  }
}

absl::Status SimShell::Run(const std::function<bool()>& done) {
  while (world_.failure.ok() && !done()) {
    if (!world_.queue.RunNext()) {
      return absl::DeadlineExceededError("the simulated cluster stands still");
    }
  }
  return world_.failure;
}

}  // namespace waferstream
