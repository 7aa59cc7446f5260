// `waferctl run`, `generate` and `evaluate` through real processes, from beginning to every kind of
// end.
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Long enough that a signal always finds it running.
constexpr int kEndless = 1000000;

json RunToJson(CtlHarness& harness, std::vector<std::string> flags = {}) {
  flags.insert(flags.begin(), {"run", "-f", "job.yaml", "-o", "json"});
  return harness.Run(flags)->json();
}

bool IsHash(const json& value) {
  return value.is_string() && value.get<std::string>().size() == 32;
}

TEST(RunE2eTest, TrainsAndReports) {
  CtlHarness harness("trains");
  harness.WriteJob(4);
  const json job = RunToJson(harness);
  EXPECT_EQ(job["state"], "DONE");
  EXPECT_EQ(job["step"], 4);
  EXPECT_EQ(job["losses"].size(), 4u);
  EXPECT_EQ(job["losses"][3], job["loss"]);
  EXPECT_LT(job["loss"], job["losses"][0]);
  EXPECT_TRUE(job["val_loss"].is_number());
  EXPECT_TRUE(IsHash(job["weights_hash"])) << job["weights_hash"];
  EXPECT_TRUE(IsHash(job["optimizer_hash"])) << job["optimizer_hash"];
  EXPECT_GT(job["tokens_per_second"], 0);
  EXPECT_GT(job["step_seconds"], 0);
  EXPECT_GE(job["exposed_stream_fraction"], 0);
  EXPECT_LE(job["exposed_stream_fraction"], 1);
  EXPECT_EQ(job["sram_peak_bytes"], job["sram_planned_bytes"]);
  EXPECT_GT(job["parameters"], 0);

  const fs::path run_dir = job["run_dir"].get<std::string>();
  EXPECT_EQ(run_dir.parent_path(), harness.dir() / "runs");
  for (const char* role : {"controller", "memoryx-0", "swarmx-0", "wafer-0", "wafer-1"}) {
    EXPECT_TRUE(fs::exists(run_dir / "logs" / (std::string(role) + ".log"))) << role;
  }
  EXPECT_TRUE(absl::StartsWith(job["checkpoint"].get<std::string>(), run_dir.string()));

  const json checkpoints =
      harness.Run({"checkpoint", "list", run_dir.string(), "--verify", "-o", "json"})->json();
  ASSERT_EQ(checkpoints.size(), 2u);
  EXPECT_EQ(checkpoints[1]["steps"], 4);
  EXPECT_EQ(checkpoints[1]["weights_hash"], job["weights_hash"]);
  EXPECT_EQ(checkpoints[1]["optimizer_hash"], job["optimizer_hash"]);
}

TEST(RunE2eTest, TheShapeOfTheClusterDoesNotChangeABit) {
  CtlHarness harness("shape");
  harness.WriteJob(3);
  const json two = RunToJson(harness);
  const json other = RunToJson(
      harness, {"--wafers", "3", "--memoryx", "2", "--swarmx", "2", "--set", "cluster.fanout=2"});
  EXPECT_EQ(two["weights_hash"], other["weights_hash"]);
  EXPECT_EQ(two["optimizer_hash"], other["optimizer_hash"]);
  EXPECT_EQ(two["losses"], other["losses"]);
  EXPECT_EQ(two["val_loss"], other["val_loss"]);
}

TEST(RunE2eTest, KernelsAreHeldToTheLevelAskedFor) {
  CtlHarness harness("isa");
  harness.WriteJob(1);
  const auto run = harness.Run({"run", "-f", "job.yaml", "-o", "json", "--kernel-isa", "sse4",
                                "--set", "training.precision=bf16"});
  const std::string isa = run->json()["kernel_isa"];
  EXPECT_TRUE(absl::StartsWith(isa, "f32:ss")) << isa;
  EXPECT_TRUE(absl::StrContains(run->err(), "kernels: " + isa)) << run->err();
  // What it would be otherwise is what `version` says.
  const json best = RunToJson(harness);
  EXPECT_EQ(harness.Run({"version", "-o", "json"})->json()["kernel_isa"], best["kernel_isa"]);
}

// A row for every lane that worked, of every process, with what it did by name.
TEST(RunE2eTest, ATraceShowsWhatEveryProcessDid) {
  CtlHarness harness("trace");
  harness.WriteJob(2);
  const json traced = RunToJson(harness, {"--trace", "t.json"});
  EXPECT_EQ(traced["weights_hash"], RunToJson(harness)["weights_hash"]);
  std::map<int, std::string> processes;
  std::set<std::string> rows, spans;
  for (const json& event : json::parse(std::ifstream(harness.dir() / "t.json"))) {
    const int pid = event["pid"];
    const std::string name = event["name"];
    if (name == "process_name") processes[pid] = event["args"]["name"];
    if (name == "thread_name") {
      rows.insert(absl::StrCat(processes.at(pid), " ", event["args"]["name"].get<std::string>()));
    }
    if (event["ph"] != "X") continue;
    spans.insert(name);
    EXPECT_GE(event["dur"], 0.0) << event;
  }
  for (const char* row : {"controller store", "memoryx-0 compute", "swarmx-0 loop",
                          "wafer-0 compute", "wafer-0 disk"}) {
    EXPECT_TRUE(rows.contains(row)) << row << " of " << json(rows);
  }
  for (const char* span : {"h.0.attn", "h.0.attn backward", "update before sending", "tile"}) {
    EXPECT_TRUE(spans.contains(span)) << span << " of " << json(spans);
  }
}

TEST(RunE2eTest, ATraceThatCannotBeWrittenIsRefusedAtOnce) {
  CtlHarness harness("no_trace");
  harness.WriteJob(2);
  const auto refused = harness.Run({"run", "-f", "job.yaml", "--trace", "no/such/t.json"}, 3);
  EXPECT_TRUE(absl::StrContains(refused->err(), "no/such/t.json")) << refused->err();
  EXPECT_FALSE(fs::exists(harness.dir() / "runs"));
}

TEST(RunE2eTest, ResumingIsEqualToNotHavingStopped) {
  CtlHarness harness("resume");
  harness.WriteJob(4);
  const json whole = RunToJson(harness, {"--run-dir", "whole"});
  const json rest = RunToJson(harness, {"--resume", "whole/checkpoints/step-000002"});
  EXPECT_EQ(rest["weights_hash"], whole["weights_hash"]);
  EXPECT_EQ(rest["optimizer_hash"], whole["optimizer_hash"]);
  EXPECT_EQ(rest["first_step"], 2);
  EXPECT_EQ(rest["losses"].size(), 2u);
  EXPECT_EQ(rest["losses"][1], whole["losses"][3]);
}

// A run's own line may go on in its folder; what is damaged is passed over, and said; nobody else's
// run gets in, and what is there stays.
TEST(RunE2eTest, AFolderOfCheckpointsBelongsToOneLineOfJobs) {
  CtlHarness harness("line");
  harness.WriteJob(8);
  const std::vector<std::string> nest = {"--set", "checkpoint.dir=nest", "--set",
                                         "checkpoint.keep=9"};
  const json whole = RunToJson(harness, nest);
  const auto list = [&](int exit_code) {
    return harness.Run({"checkpoint", "list", "nest", "--verify", "-o", "json"}, exit_code)->json();
  };
  const json before = list(0);
  ASSERT_EQ(before.size(), 4u);
  for (const json& checkpoint : before) EXPECT_EQ(checkpoint["job"], whole["job"]);

  const std::vector<std::string> other = {
      "run", "-f", "job.yaml", "--set", "training.seed=9", "--set", "checkpoint.dir=nest"};
  const auto refused = harness.Run(other, 2);
  EXPECT_TRUE(absl::StrContains(refused->err(), "of job " + whole["name"].get<std::string>() +
                                                    " (" + whole["job"].get<std::string>() + ")"))
      << refused->err();
  const std::vector<std::string> earlier = {
      "run", "-f", "job.yaml", "--set", "checkpoint.dir=nest", "--resume", "nest/step-000004"};
  EXPECT_TRUE(absl::StrContains(harness.Run(earlier, 2)->err(), "later than step 4"));
  EXPECT_EQ(list(0), before);

  std::ofstream(harness.dir() / "nest/step-000008/waferstream.json") << "";
  const json damaged = list(1);
  ASSERT_EQ(damaged.size(), 4u);
  EXPECT_EQ(damaged[3]["steps"], 8);
  EXPECT_NE(damaged[3]["error"], "");
  EXPECT_EQ(damaged[2]["error"], "");
  std::vector<std::string> again = {"run",  "-f", "job.yaml", "-o",
                                    "json", "-q", "--resume", "nest"};
  again.insert(again.end(), nest.begin(), nest.end());
  const auto call = harness.Run(again);
  EXPECT_TRUE(absl::StrContains(call->err(), "step-000008 is damaged and passed over"))
      << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), "goes on from ")) << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), "step 6 of job ")) << call->err();
  EXPECT_EQ(call->json()["weights_hash"], whole["weights_hash"]);
  EXPECT_EQ(call->json()["ancestors"], json({whole["job"]}));
  const json after = list(0);
  ASSERT_EQ(after.size(), 4u);
  EXPECT_EQ(after[3]["job"], call->json()["job"]);
  EXPECT_EQ(after[3]["weights_hash"], whole["weights_hash"]);
  EXPECT_TRUE(fs::exists(harness.dir() / "nest/damaged-step-000008"));
}

// Whoever comes second is told so, whenever it is; the first one's result is its own.
TEST(RunE2eTest, TwoRunsAtOnceDoNotShareAFolder) {
  CtlHarness harness("shared");
  harness.WriteJob(60);
  const std::vector<std::string> flags = {"run", "-f", "job.yaml", "-q", "-o", "json", "--set"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), flags.begin(), flags.end());
    return more;
  };
  const std::vector<std::string> seeds = {"training.seed=1", "training.seed=2"};
  std::vector<std::unique_ptr<CtlCall>> calls;
  for (const std::string& seed : seeds) {
    calls.push_back(harness.Start(with({seed, "--set", "checkpoint.dir=nest"})));
  }
  std::vector<int> codes;
  for (const auto& call : calls) codes.push_back(call->Wait());
  ASSERT_EQ(codes[0] + codes[1], 2) << calls[0]->err() << calls[1]->err();
  const int loser = codes[0] == 2 ? 0 : 1;
  EXPECT_TRUE(absl::StrContains(calls[loser]->err(), "checkpoint.dir: ")) << calls[loser]->err();
  EXPECT_EQ(calls[loser]->out(), "");
  const json alone = harness.Run(with({seeds[1 - loser], "--set", "checkpoint.dir=alone"}))->json();
  EXPECT_EQ(calls[1 - loser]->json()["weights_hash"], alone["weights_hash"]);
  harness.Run({"checkpoint", "list", "nest", "--verify"});
}

TEST(RunE2eTest, WhatDiffersAtAResumeIsRefusedByNameUnlessAccepted) {
  CtlHarness harness("differs");
  harness.WriteJob(4);
  harness.Run({"run", "-f", "job.yaml", "--run-dir", "whole"});
  const std::vector<std::string> from = {"--resume", "whole/checkpoints/step-000002"};
  std::vector<std::string> args = {"run", "-f", "job.yaml", "--set", "training.clip=0.25"};
  args.insert(args.end(), from.begin(), from.end());
  EXPECT_TRUE(absl::StrContains(harness.Run(args, 2)->err(), "training.clip was 1 and is 0.25"));
  args.insert(args.end(), {"--accept", "training.clip", "--run-dir", "clipped"});
  EXPECT_TRUE(absl::StrContains(harness.Run(args)->err(), "accepted: training.clip was 1"));
  std::ifstream manifest(harness.dir() / "clipped/checkpoints/step-000004/waferstream.json");
  const json record = json::parse(manifest);
  EXPECT_EQ(record["job"]["checkpoint"]["accepted"][0]["key"], "training.clip");
  EXPECT_NE(record["kernel_isa"], "");
  EXPECT_NE(record["build"], "");
  EXPECT_EQ(record["job"]["data"]["train_content"][0]["tokens"], "4000");

  // The file is the same by name and size, and another by what is in it.
  std::fstream train(harness.dir() / "train.bin", std::ios::binary | std::ios::in | std::ios::out);
  train.seekp(100);
  train.write("\1\0\1\0\1\0\1\0", 8);
  train.close();
  const auto other = harness.Run({"run", "-f", "job.yaml", from[0], from[1]}, 2);
  EXPECT_TRUE(absl::StrContains(other->err(), "data.train was ")) << other->err();
  EXPECT_TRUE(absl::StrContains(other->err(), "--accept data.train")) << other->err();
}

TEST(RunE2eTest, CheckpointInitWritesTheWeightsThatRunStartsFrom) {
  CtlHarness harness("init");
  harness.WriteJob(2);
  const json fresh = RunToJson(harness);
  harness.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  const json from = RunToJson(harness, {"--resume", "initial"});
  EXPECT_EQ(from["weights_hash"], fresh["weights_hash"]);
  EXPECT_EQ(from["losses"], fresh["losses"]);

  // Exported it has no manifest, as one of Hugging Face's.
  harness.Run({"checkpoint", "export", "initial", "--out", "exported"});
  harness.Run({"run", "-f", "job.yaml", "--resume", "exported"}, 2);
  const auto call = harness.Run(
      {"run", "-f", "job.yaml", "-q", "-o", "json", "--set", "checkpoint.from=exported"});
  EXPECT_EQ(call->json()["weights_hash"], fresh["weights_hash"]);
  EXPECT_TRUE(absl::StrContains(call->err(), "starts at step 0 from the weights in "))
      << call->err();
  // Imported it has one again.
  const auto import = harness.Run({"checkpoint", "import", "exported", "--out", "imported"});
  const auto list = harness.Run({"checkpoint", "list", "imported", "--verify", "-o", "json"});
  EXPECT_EQ(import->out(), absl::StrCat(list->json()[0]["weights_hash"].get<std::string>(), "\n"));
  EXPECT_EQ(import->err(), "");  // no bar where there is no terminal
  EXPECT_EQ(RunToJson(harness, {"--resume", "imported"})["weights_hash"], fresh["weights_hash"]);
  harness.Run({"checkpoint", "export", "initial", "--out", "rounded", "--dtype", "bf16"});
  const json rounded = RunToJson(harness, {"--set", "checkpoint.from=rounded"});
  EXPECT_NE(rounded["weights_hash"], fresh["weights_hash"]);
  EXPECT_NEAR(rounded["loss"], fresh["loss"], 0.01);
}

// A run that has committed a step.
std::unique_ptr<CtlCall> StartEndlessRun(CtlHarness& harness) {
  harness.WriteJob(kEndless);
  std::unique_ptr<CtlCall> call =
      harness.Start({"run", "-f", "job.yaml", "--run-dir", "run", "-o", "json", "--set",
                     "checkpoint.every=0", "--set", "training.validate_every=1"});
  EXPECT_TRUE(WaitFor([&] { return absl::StrContains(call->err(), "val "); }, absl::Minutes(2)))
      << call->err();
  EXPECT_EQ(harness.Processes().size(), 5u);
  return call;
}

TEST(RunE2eTest, InterruptCancels) {
  for (const int signal : {SIGINT, SIGTERM}) {
    CtlHarness harness("interrupt");
    std::unique_ptr<CtlCall> call = StartEndlessRun(harness);
    call->Signal(signal);
    EXPECT_EQ(call->Wait(), 6) << call->err();
    EXPECT_EQ(call->json()["state"], "CANCELLED");
    EXPECT_TRUE(harness.Processes().empty()) << "waferctl waits for its processes";
  }
}

TEST(RunE2eTest, DataThatChangesUnderARunFailsItByName) {
  CtlHarness harness("changed");
  std::unique_ptr<CtlCall> call = StartEndlessRun(harness);
  std::filesystem::resize_file(harness.dir() / "train.bin", 100);
  EXPECT_EQ(call->Wait(), 1) << call->err();
  EXPECT_EQ(call->json()["state"], "FAILED");
  EXPECT_TRUE(absl::StrContains(call->err(), "data.train: ")) << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), "train.bin is another file than the job's"))
      << call->err();
}

// A stopped wafer makes the tidy end wait for its lease; the second interrupt does not.
TEST(RunE2eTest, ASecondInterruptKills) {
  CtlHarness harness("impatient");
  std::unique_ptr<CtlCall> call = StartEndlessRun(harness);
  kill(harness.ProcessOf("wafer_node"), SIGSTOP);
  call->Signal(SIGINT);
  ASSERT_TRUE(WaitFor([&] { return absl::StrContains(call->err(), "cancelling"); }));
  call->Signal(SIGINT);
  EXPECT_EQ(call->Wait(), 6) << call->err();
  EXPECT_TRUE(harness.Processes().empty());
}

TEST(RunE2eTest, KilledItLeavesNoProcess) {
  CtlHarness harness("killed");
  std::unique_ptr<CtlCall> call = StartEndlessRun(harness);
  call->Signal(SIGKILL);
  EXPECT_EQ(call->Wait(), -SIGKILL);
  // The harness waits, up to a deadline, until no process is left.
}

// Whatever dies is started again, and the run ends as if nothing had been.
TEST(RunE2eTest, TheDeathOfAnyProcessDoesNotChangeABit) {
  CtlHarness harness("dead");
  harness.WriteJob(150);
  const std::vector<std::string> flags = {"--set", "checkpoint.every=100", "--set",
                                          "training.validate_every=20"};
  const json whole = RunToJson(harness, flags);
  for (const std::string role : {"controller", "memoryx", "swarmx", "wafer_node"}) {
    std::vector<std::string> args = {"run", "-f", "job.yaml", "-o", "json"};
    args.insert(args.end(), flags.begin(), flags.end());
    std::unique_ptr<CtlCall> call = harness.Start(args);
    ASSERT_TRUE(WaitFor([&] { return absl::StrContains(call->err(), "val "); }, absl::Minutes(2)))
        << call->err();
    const pid_t pid = harness.ProcessOf(role);
    ASSERT_GT(pid, 0) << role;
    kill(pid, SIGKILL);
    ASSERT_EQ(call->Wait(), 0) << call->err();
    EXPECT_TRUE(absl::StrContains(call->err(), ": was ended by signal 9 (Killed)")) << call->err();
    EXPECT_TRUE(absl::StrContains(call->err(), "starting it again")) << call->err();
    EXPECT_EQ(call->json()["weights_hash"], whole["weights_hash"]) << role;
    EXPECT_EQ(call->json()["optimizer_hash"], whole["optimizer_hash"]) << role;
    EXPECT_EQ(call->json()["losses"], whole["losses"]) << role;
  }
}

// A process that dies as often as it is started: the run ends and says why.
TEST(RunE2eTest, AProcessThatNeverStaysUpEndsTheRun) {
  CtlHarness harness("never_up");
  std::unique_ptr<CtlCall> call = StartEndlessRun(harness);
  const auto given_up = [&] {
    const pid_t pid = harness.ProcessOf("swarmx");
    if (pid > 0) kill(pid, SIGKILL);
    return absl::StrContains(call->err(), "started again");
  };
  ASSERT_TRUE(WaitFor(given_up, absl::Minutes(2))) << call->err();
  EXPECT_EQ(call->Wait(), 1) << call->err();
  EXPECT_TRUE(absl::StrContains(call->err(), "started again 20 times within 1m")) << call->err();
}

TEST(RunE2eTest, APausedRunEndsAndSaysHowToGoOn) {
  CtlHarness harness("paused");
  harness.WriteJob(50);
  const auto call = harness.Run(
      {"run", "-f", "job.yaml", "-o", "json", "--set", "training.optimizer.adamw.lr=1.0e+30"}, 1);
  EXPECT_EQ(call->json()["state"], "PAUSED");
  EXPECT_EQ(call->json()["losses"].size(), call->json()["step"]);
  EXPECT_EQ(call->json()["losses"].back(), call->json()["loss"]);
  EXPECT_TRUE(absl::StrContains(call->err(), "--set training.optimizer.adamw.lr=X")) << call->err();
}

TEST(GenerateE2eTest, TheSameSeedGivesTheSameText) {
  CtlHarness harness("generate");
  harness.WriteJob(2);
  harness.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  const std::vector<std::string> args = {"generate", "--checkpoint", "initial", "--prompt",
                                         "ab",       "--tokens",     "5",       "--seed",
                                         "3",        "-o",           "json"};
  const json first = harness.Run(args)->json();
  EXPECT_EQ(first["tokens"].size(), 5u);
  EXPECT_EQ(first["prompt_tokens"], json({'a', 'b'}));
  EXPECT_EQ(harness.Run(args)->json()["tokens"], first["tokens"]);
  EXPECT_TRUE(harness.TemporaryFiles().empty());

  const std::string text = harness
                               .Run({"generate", "--checkpoint", "initial", "--prompt-tokens",
                                     "97,98", "--tokens", "5", "--seed", "3"})
                               ->out();
  std::string expected;
  for (const json& token : first["tokens"]) expected.push_back(static_cast<char>(token.get<int>()));
  EXPECT_EQ(text, expected + "\n");
}

TEST(GenerateE2eTest, KilledItLeavesNothing) {
  CtlHarness harness("generate_killed");
  harness.WriteJob(2);
  harness.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  std::unique_ptr<CtlCall> call = harness.Start({"generate", "--checkpoint", "initial", "--prompt",
                                                 "a", "--tokens", "100000", "--temperature", "0"});
  ASSERT_TRUE(WaitFor([&] { return !call->out().empty(); }, absl::Minutes(2))) << call->err();
  EXPECT_FALSE(harness.TemporaryFiles().empty());
  call->Signal(SIGKILL);
  EXPECT_EQ(call->Wait(), -SIGKILL);
}

TEST(EvaluateE2eTest, IsTheValidationLossOfTheJob) {
  CtlHarness harness("evaluate");
  harness.WriteJob(4);
  const json job = RunToJson(harness);
  const std::vector<std::string> args = {"evaluate", "--checkpoint",
                                         job["run_dir"].get<std::string>(), "--data", "val.bin"};
  std::vector<std::string> to_json = args;
  to_json.insert(to_json.end(), {"-o", "json"});
  const json loss = harness.Run(to_json)->json();
  EXPECT_EQ(loss["loss"], job["val_loss"]);
  EXPECT_EQ(loss["perplexity"], std::exp(job["val_loss"].get<double>()));
  const uint64_t tokens = fs::file_size(harness.dir() / "val.bin") / 2;
  EXPECT_EQ(loss["tokens"], (tokens - 1) / 16 * 16);
  EXPECT_TRUE(harness.TemporaryFiles().empty());
  const std::string out = harness.Run(args)->out();
  EXPECT_TRUE(absl::StrContains(out, absl::StrCat("tokens      ", (tokens - 1) / 16 * 16))) << out;
}

}  // namespace
}  // namespace waferstream
