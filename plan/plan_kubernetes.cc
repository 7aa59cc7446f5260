#include "plan/plan_kubernetes.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plan/plan_costs.h"
#include "proto/role_word.h"

namespace waferstream {
namespace {

struct Pods {
  Role role = MEMORYX;
  int replicas = 0;
  uint64_t bytes = 0;  // of the largest
  uint32_t cpus = 0;   // 0: not said
};

uint64_t LargestOf(const std::vector<ResidentBytes>& processes) {
  uint64_t most = 0;
  for (const ResidentBytes& process : processes) {
    most = std::max(most, process.state() + process.windows);
  }
  return most;
}

std::string Mebibytes(uint64_t bytes) {
  constexpr uint64_t kMiB = 1 << 20;
  return absl::StrCat((bytes + kMiB - 1) / kMiB, "Mi");
}

void Emit(const Pods& pods, YAML::Emitter& out) {
  const std::string role = RoleWord(pods.role);
  YAML::Node container;
  container["name"] = role;
  for (const char* bound : {"requests", "limits"}) {
    container["resources"][bound]["memory"] = Mebibytes(pods.bytes + kPodOverheadBytes);
  }
  if (pods.cpus > 0) container["resources"]["requests"]["cpu"] = absl::StrCat(pods.cpus);
  YAML::Node set;
  set["apiVersion"] = "apps/v1";
  set["kind"] = "StatefulSet";
  set["metadata"]["name"] = absl::StrCat("waferstream-", role);
  set["metadata"]["namespace"] = "waferstream";
  set["spec"]["replicas"] = pods.replicas;
  set["spec"]["template"]["spec"]["containers"].push_back(container);
  out << YAML::BeginDoc << set;
}

}  // namespace

std::string PlanAsKubernetes(const Plan& plan) {
  const PlanCosts costs = CostsOf(plan);
  const uint32_t threads = plan.job.cluster().wafer().kernel_threads();
  YAML::Emitter out;
  for (const Pods& pods :
       {Pods{.role = MEMORYX, .replicas = plan.shape.memoryx, .bytes = LargestOf(costs.memoryx)},
        Pods{.role = SWARMX, .replicas = plan.shape.swarmx, .bytes = LargestOf(costs.swarmx)},
        Pods{.role = WAFER,
        .replicas = plan.shape.wafers,
        .bytes = plan.sram.bytes + kSharedMemoryBytes,
        .cpus = threads > 0 ? threads + 1 : 0}}) {
    Emit(pods, out);
  }
  return absl::StrCat("# What the job ", plan.job.name(),
                      " takes, by `waferctl plan --kubernetes`.\n", out.c_str(), "\n");
}

}  // namespace waferstream
