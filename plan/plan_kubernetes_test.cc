#include "plan/plan_kubernetes.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <string>

#include "plan/plan_costs.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// By name.
std::map<std::string, YAML::Node> SetsOf(const Plan& plan) {
  std::map<std::string, YAML::Node> sets;
  for (const YAML::Node& set : YAML::LoadAll(PlanAsKubernetes(plan))) {
    EXPECT_EQ(set["kind"].as<std::string>(), "StatefulSet");
    sets[set["metadata"]["name"].as<std::string>()] = set["spec"];
  }
  return sets;
}

// In MiB; the limit is the same.
uint64_t MemoryOf(const YAML::Node& set) {
  const YAML::Node resources = set["template"]["spec"]["containers"][0]["resources"];
  const std::string memory = resources["requests"]["memory"].as<std::string>();
  EXPECT_EQ(resources["limits"]["memory"].as<std::string>(), memory);
  EXPECT_EQ(memory.substr(memory.size() - 2), "Mi");
  return YAML::Node(memory.substr(0, memory.size() - 2)).as<uint64_t>();
}

TEST(PlanKubernetesTest, PodsAndMemoryAreThePlans) {
  JobSpec job = TestJob();
  job.mutable_model()->set_hidden(512);
  job.mutable_model()->set_vocab(50000);
  job.mutable_cluster()->set_wafers(3);
  job.mutable_cluster()->set_memoryx(2);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(uint64_t{4} << 30);
  const absl::StatusOr<Plan> plan = Compile(job, RequestedShape(job));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto sets = SetsOf(*plan);
  ASSERT_EQ(sets.size(), 3u);
  EXPECT_EQ(sets.at("waferstream-wafer")["replicas"].as<int>(), 3);
  EXPECT_EQ(sets.at("waferstream-memoryx")["replicas"].as<int>(), 2);
  EXPECT_EQ(sets.at("waferstream-swarmx")["replicas"].as<int>(), 1);
  const uint64_t overhead = kPodOverheadBytes / kMiB;
  EXPECT_EQ(MemoryOf(sets.at("waferstream-wafer")),
            overhead + 64 + (plan->sram.bytes + kMiB - 1) / kMiB);
  const auto cpus = [&](const char* set) {
    return sets.at(set)["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"];
  };
  EXPECT_EQ(cpus("waferstream-wafer").as<int>(), 2) << "a thread, and one";
  EXPECT_FALSE(cpus("waferstream-memoryx").IsDefined());
  // 26 M parameters of 16 B over two processes.
  const uint64_t memoryx = MemoryOf(sets.at("waferstream-memoryx"));
  EXPECT_GT(memoryx, overhead + plan->parameter_elements * 16 / 2 / kMiB);
  EXPECT_LT(memoryx, overhead + plan->parameter_elements * 16 / kMiB);
}

}  // namespace
}  // namespace waferstream
