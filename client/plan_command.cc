// `waferctl plan`: what a job would be, without running it.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/flags.h"
#include "base/status.h"
#include "client/command.h"
#include "client/job_input.h"
#include "client/output.h"
#include "plan/plan.h"
#include "plan/plan_kubernetes.h"
#include "plan/plan_report.h"

namespace waferstream {
namespace {

struct PlanFlags {
  JobFlags job;
  double link_mbit = 0;     // 0: not given
  bool kubernetes = false;  // as a patch for deploy/kubernetes
  Format format = Format::kTable;
};

Outcome PlanJob(const PlanFlags& flags) {
  ASSIGN_OR_RETURN(const JobSpec job, LoadJob(flags.job));
  ASSIGN_OR_RETURN(const Plan plan, Compile(job, RequestedShape(job)));
  if (flags.kubernetes) {
    RETURN_IF_ERROR(PrintResult(PlanAsKubernetes(plan)));
    return ExitCode::kOk;
  }
  RETURN_IF_ERROR(PrintResult(flags.format, PlanAsText(plan, flags.link_mbit),
                              PlanAsJson(plan, flags.link_mbit)));
  return ExitCode::kOk;
}

}  // namespace

void AddPlanCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command =
      app.add_subcommand("plan", "Compile a job and show where its bytes and its time go");
  AddJobFlags(*command, flags->job);
  AddReal(*command, "--link-mbit", flags->link_mbit,
          "Also what a step takes where links are the bottleneck, each process having one of so "
          "many Mbit/s in each direction",
          {.high = 1e9, .open_low = true});
  AddSwitch(*command, "--kubernetes", flags->kubernetes,
            "As a Kustomize patch for deploy/kubernetes: replicas, and the memory of each pod")
      ->configurable(false);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = PlanJob(*flags); });
}

}  // namespace waferstream
