#include "sim/inproc_cluster.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/worker_pool.h"
#include "checkpoint/posix_disk.h"
#include "memoryx/memoryx_role.h"
#include "node/role.h"
#include "sim/sim_shell.h"
#include "swarmx/swarmx_role.h"
#include "wafer_node/wafer_role.h"

namespace waferstream {
namespace {

constexpr uint32_t kEpoch = 1;

// One process: its role and the core of its only epoch.
struct Process {
  std::unique_ptr<NodeRole> role;
  int index;
  PrepareReply reply;
  std::unique_ptr<RoleCore> core;
};

template <typename RoleType, typename... Args>
void AddProcesses(int count, std::vector<Process>& processes, Args&... args) {
  for (int i = 0; i < count; ++i) {
    processes.push_back({std::make_unique<RoleType>(args...), i, {}, {}});
  }
}

absl::Status Prepare(const Plan& plan, uint64_t start_step, Process& process) {
  PrepareRequest request;
  request.set_job_id("inproc");
  request.set_epoch(kEpoch);
  *request.mutable_job() = plan.job;
  request.set_role(process.role->kind());
  request.set_index(static_cast<uint32_t>(process.index));
  request.set_start_step(start_step);
  request.set_plan_hash(plan.Hash());
  ASSIGN_OR_RETURN(process.core, process.role->Prepare(request, plan, &process.reply));
  return absl::OkStatus();
}

// Lets the job happen. The first process is MemoryX 0.
absl::StatusOr<InprocResult> Run(const Plan& plan, const InprocOptions& options,
                                 std::vector<Process>& processes) {
  WorkerPool pool(static_cast<int>(plan.job.cluster().wafer().kernel_threads()));
  SimShell shell(plan, options.seed, &pool);
  SimController controller(
      plan, kEpoch, options.start_step, [&](const CommitRequest& commit) { shell.Commit(commit); },
      [&](const SealRequest& seal) { return processes[0].role->Seal(seal); });
  for (const Process& process : processes) {
    shell.Add(process.role->kind(), process.index, process.core.get());
  }
  shell.Start([&](const Endpoint& from, const NodeReport& report) {
    shell.Fail(controller.OnReport(from, report));
  });
  RETURN_IF_ERROR(shell.Run());
  if (!controller.done()) {
    return absl::InternalError(absl::StrCat("the cluster stands still after ",
                                            controller.outcome().losses.size(), " steps"));
  }
  InprocResult result;
  result.outcome = controller.outcome();
  result.trace_hash = shell.TraceHash();
  return result;
}

}  // namespace

absl::StatusOr<InprocResult> RunInproc(const JobSpec& job, const InprocOptions& options) {
  ASSIGN_OR_RETURN(const Plan plan, Compile(job, options.shape));
  std::vector<Process> processes;
  Disk& disk = options.disk != nullptr ? *options.disk : PosixDisk();
  AddProcesses<MemoryxRole>(options.shape.memoryx, processes, disk);
  AddProcesses<SwarmxRole>(options.shape.swarmx, processes);
  AddProcesses<WaferRole>(options.shape.wafers, processes);
  for (Process& process : processes) {
    RETURN_IF_ERROR(Prepare(plan, options.start_step, process));
  }
  ASSIGN_OR_RETURN(InprocResult result, Run(plan, options, processes));
  for (const Process& process : processes) {
    const Role kind = process.role->kind();
    if (kind == WAFER) result.sram_planned_bytes = process.reply.sram_planned_bytes();
    if (kind == SWARMX) result.swarmx_bytes.push_back(process.reply.resident_bytes());
    if (kind == MEMORYX) result.memoryx_bytes.push_back(process.reply.resident_bytes());
  }
  return result;
}

}  // namespace waferstream
