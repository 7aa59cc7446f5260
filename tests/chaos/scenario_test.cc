// Every fault on every role where it makes sense, one at a time and in pairs: the job ends with the
// very bits of the run to which nothing happened.
#include "tests/chaos/scenario.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using Kind = Fault::Kind;

// One job of two MemoryX nodes, each of which holds everything.
const std::vector<std::string> kReplicated = {"cluster.memoryx.nodes=2",
                                              "cluster.memoryx.replicas=2"};
// Without a second owner, and with checkpoints often enough to fall back to.
const std::vector<std::string> kTwoShards = {"cluster.memoryx.nodes=2", "checkpoint.every=20"};

const Scenario kScenarios[] = {
    // A process dies, and somebody starts it again.
    {.name = "restart_controller", .faults = {{Kind::kRestart, "controller"}}},
    {.name = "restart_wafer", .faults = {{Kind::kRestart, "wafer-0"}}},
    {.name = "restart_swarmx", .faults = {{Kind::kRestart, "swarmx-0"}}},
    {.name = "restart_memoryx", .faults = {{Kind::kRestart, "memoryx-0"}}},
    {.name = "restart_one_of_two_shards",
     .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
     .job = kTwoShards,
     .faults = {{Kind::kRestart, "memoryx-1"}}},
    // Nobody does: the rest, a second owner or a spare goes on.
    {.name = "kill_wafer", .faults = {{Kind::kKill, "wafer-1"}}},
    {.name = "kill_wafer_with_spare",
     .shape = {.wafers = 3, .memoryx = 1, .swarmx = 1},
     .faults = {{Kind::kKill, "wafer-0"}}},
    {.name = "kill_swarmx_with_spare",
     .shape = {.wafers = 2, .memoryx = 1, .swarmx = 2},
     .faults = {{Kind::kKill, "swarmx-0"}}},
    {.name = "kill_owner",
     .shape = {.wafers = 2, .memoryx = 3, .swarmx = 1},
     .job = kReplicated,
     .faults = {{Kind::kKill, "memoryx-0"}}},
    {.name = "kill_both_owners_in_turn",
     .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
     .job = kReplicated,
     .faults = {{Kind::kRestart, "memoryx-0"}, {Kind::kRestart, "memoryx-1"}}},
    // Over TCP, as between hosts.
    {.name = "restart_wafer_tcp", .fabric = "tcp", .faults = {{Kind::kRestart, "wafer-0"}}},
    {.name = "restart_swarmx_tcp", .fabric = "tcp", .faults = {{Kind::kRestart, "swarmx-0"}}},
    {.name = "restart_memoryx_tcp", .fabric = "tcp", .faults = {{Kind::kRestart, "memoryx-0"}}},
    {.name = "hang_wafer_tcp", .fabric = "tcp", .faults = {{Kind::kHang, "wafer-0"}}},
    // Two at once.
    {.name = "restart_wafer_and_swarmx",
     .faults = {{Kind::kRestart, "wafer-0"}, {Kind::kRestart, "swarmx-0"}}},
    {.name = "restart_controller_and_wafer",
     .faults = {{Kind::kRestart, "controller"}, {Kind::kRestart, "wafer-1"}}},
    {.name = "restart_controller_and_owner",
     .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
     .job = kReplicated,
     .faults = {{Kind::kRestart, "controller"}, {Kind::kRestart, "memoryx-1"}}},
    {.name = "restart_owner_and_wafer",
     .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
     .job = kReplicated,
     .faults = {{Kind::kRestart, "memoryx-0"}, {Kind::kRestart, "wafer-1"}}},
    // A process hangs for longer than the lease, and comes back as if nothing had been.
    {.name = "hang_wafer", .faults = {{Kind::kHang, "wafer-0"}}},
    {.name = "hang_swarmx", .faults = {{Kind::kHang, "swarmx-0"}}},
    {.name = "hang_memoryx", .faults = {{Kind::kHang, "memoryx-0"}}},
    {.name = "hang_controller", .faults = {{Kind::kHang, "controller"}}},
    // The network swallows packets.
    {.name = "mute_wafer", .faults = {{Kind::kMute, "wafer-0"}}},
    {.name = "mute_memoryx", .faults = {{Kind::kMute, "memoryx-0"}}},
    {.name = "vanish_wafer", .faults = {{Kind::kVanish, "wafer-1"}}},
    {.name = "vanish_swarmx", .faults = {{Kind::kVanish, "swarmx-0"}}},
    // It resets, stops, slows down, lies.
    {.name = "cut_swarmx", .faults = {{Kind::kCut, "swarmx-0"}}},
    {.name = "cut_memoryx", .faults = {{Kind::kCut, "memoryx-0"}}},
    {.name = "stall_swarmx", .faults = {{Kind::kStall, "swarmx-0"}}},
    {.name = "swallow_to_swarmx", .faults = {{Kind::kSwallowTo, "swarmx-0"}}},
    {.name = "swallow_from_swarmx", .faults = {{Kind::kSwallowFrom, "swarmx-0"}}},
    {.name = "swallow_to_memoryx", .faults = {{Kind::kSwallowTo, "memoryx-0"}}},
    {.name = "swallow_from_memoryx", .faults = {{Kind::kSwallowFrom, "memoryx-0"}}},
    {.name = "swallow_both_memoryx", .faults = {{Kind::kSwallowBoth, "memoryx-0"}}},
    {.name = "delay_memoryx", .faults = {{Kind::kDelay, "memoryx-0"}}},
    {.name = "flip_below_swarmx", .faults = {{Kind::kFlipBit, "swarmx-0"}}},
    {.name = "flip_below_memoryx", .faults = {{Kind::kFlipBit, "memoryx-0"}}},
};

class ScenarioTest : public testing::TestWithParam<std::tuple<Scenario, int>> {};

TEST_P(ScenarioTest, EndsAsIfNothingHadHappened) {
  const auto& [scenario, seed] = GetParam();
  RunScenario(scenario, static_cast<uint64_t>(seed));
}

std::string Name(const testing::TestParamInfo<ScenarioTest::ParamType>& info) {
  return absl::StrCat(std::get<0>(info.param).name, "_", std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Quick, ScenarioTest,
                         testing::Combine(testing::ValuesIn(kScenarios), testing::Values(1)), Name);
// The controller's death between a commit and its announcement is a matter of luck.
INSTANTIATE_TEST_SUITE_P(QuickController, ScenarioTest,
                         testing::Combine(testing::Values(kScenarios[0]), testing::Range(2, 5)),
                         Name);
INSTANTIATE_TEST_SUITE_P(Long, ScenarioTest,
                         testing::Combine(testing::ValuesIn(kScenarios), testing::Range(5, 13)),
                         Name);

}  // namespace
}  // namespace waferstream
