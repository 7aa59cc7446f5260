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
};

uint64_t LargestOf(const std::vector<ResidentBytes>& processes) {
  uint64_t most = 0;
  for (const ResidentBytes& process : processes) {
    most = std::max(most, process.state + process.windows);
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
  YAML::Node set;
  set["apiVersion"] = "apps/v1";
  set["kind"] = "StatefulSet";
  set["metadata"]["name"] = absl::StrCat("waferstream-", role);
  set["spec"]["replicas"] = pods.replicas;
  set["spec"]["template"]["spec"]["containers"].push_back(container);
  out << YAML::BeginDoc << set;
}

}  // namespace

std::string PlanAsKubernetes(const Plan& plan) {
  const PlanCosts costs = CostsOf(plan);
  YAML::Emitter out;
  for (const Pods& pods :
       {Pods{MEMORYX, plan.shape.memoryx, LargestOf(costs.memoryx)},
        Pods{SWARMX, plan.shape.swarmx, LargestOf(costs.swarmx)},
        Pods{WAFER, plan.shape.wafers, static_cast<uint64_t>(plan.sram.bytes)}}) {
    Emit(pods, out);
  }
  return absl::StrCat("# What the job ", plan.job.name(),
                      " takes, by `waferctl plan --kubernetes`.\n", out.c_str(), "\n");
}

}  // namespace waferstream
