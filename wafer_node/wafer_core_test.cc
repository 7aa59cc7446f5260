// The wafer core as its neighbours see it: credit, order, reports, memory.
#include "wafer_node/wafer_core.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "plan/test_job.h"
#include "wafer_node/fake_parent.h"
#include "wafer_node/naive_gpt2.h"

namespace waferstream {
namespace {

Plan MustCompile(const JobSpec& job, int wafers = 1) {
  auto plan = Compile(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

JobSpec Job(uint64_t steps = 1) {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(steps);
  job.mutable_cluster()->set_planes(2);
  return job;
}

struct Rig {
  explicit Rig(Plan compiled, const FakeParent::Options& options = {})
      : plan(std::move(compiled)), weights(MakeWeights(plan, 1)), parent(plan, weights, options) {}
  const Plan plan;
  const TestWeights weights;
  FakeParent parent;
};

TEST(WaferCore, SendsEveryBlockOfEveryGradientOnceAndReturnsEverySlot) {
  for (int gradient_slots : {1, 100}) {
    Rig rig(MustCompile(Job(2)), {.gradient_slots = gradient_slots});
    rig.parent.Run();
    EXPECT_TRUE(rig.parent.AllReturned());
    // One wave of all leaves: each gradient is one block, the root.
    EXPECT_EQ(rig.parent.blocks().size(), 2 * rig.plan.program.gradient_stream.size());
    for (const auto& [key, values] : rig.parent.blocks()) {
      EXPECT_TRUE(IsRoot(key.range, rig.plan.leaves));
    }
  }
}

TEST(WaferCore, WaitsForRoomToSend) {
  // No gradient credit at all: it computes until the staging slots are full, and then no further.
  Rig rig(MustCompile(Job()), {.gradient_slots = 0});
  rig.parent.Run();
  EXPECT_TRUE(rig.parent.blocks().empty());
  EXPECT_TRUE(rig.parent.reports().empty());
  EXPECT_FALSE(rig.parent.AllReturned());
}

TEST(WaferCore, RunsWithTheNarrowestWindows) {
  for (Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_FULL}) {
    JobSpec job = Job();
    job.mutable_training()->set_recompute(recompute);
    Rig rig(MustCompile(job));
    rig.parent.HoldBack(SlotsNeeded(rig.plan.program, rig.plan.tiles, 2));
    rig.parent.Run();
    EXPECT_EQ(rig.parent.reports().size(), 1u);
  }
}

TEST(WaferCore, RefusesWhatIsNotNext) {
  Rig rig(MustCompile(Job()));
  rig.parent.Start();
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(rig.parent.Step());
  const FrameHeader next = *rig.parent.NextTile(0);
  const std::function<void(FrameHeader&)> spoils[] = {
      [](FrameHeader& h) { h.kind = FrameKind::kGradient; },
      [](FrameHeader& h) { ++h.dtype; },
      [](FrameHeader& h) { ++h.pass; },
      [](FrameHeader& h) { ++h.epoch; },
      [](FrameHeader& h) { ++h.step; },
      [](FrameHeader& h) { ++h.wave; },
      [](FrameHeader& h) { ++h.tile; },
      [](FrameHeader& h) { --h.tile; },
      [](FrameHeader& h) { ++h.length; },
      [](FrameHeader& h) { h.length = 0; },
      [](FrameHeader& h) { h.tile = 0xffffffff; },
  };
  for (const auto& spoil : spoils) {
    FrameHeader header = next;
    spoil(header);
    const auto refused = rig.parent.core().BufferFor(rig.parent.channel(0), header);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << Describe(header);
    EXPECT_TRUE(absl::StrContains(refused.status().message(), "is due")) << refused.status();
  }
  // None of it left a trace.
  while (rig.parent.Step()) {
  }
  EXPECT_TRUE(rig.parent.AllReturned());
  const auto late = rig.parent.core().BufferFor(rig.parent.channel(0), next);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(late.status().message(), "after the last tile")) << late.status();
}

TEST(WaferCore, RefusesATileWithoutCredit) {
  Rig rig(MustCompile(Job()), {.gradient_slots = 0});
  rig.parent.Run();  // stands still, all slots of some plane in use
  for (int plane = 0; plane < 2; ++plane) {
    ASSERT_FALSE(rig.parent.NextTile(plane).has_value());
    const auto refused =
        rig.parent.core().BufferFor(rig.parent.channel(plane), rig.parent.NextInPlan(plane));
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
  }
}

TEST(WaferCore, AWaferWithoutMicroBatchesConsumesTheStreamAndSendsNothing) {
  JobSpec job = Job(2);
  job.mutable_training()->set_global_batch(2);
  Rig rig(MustCompile(job, 3), {.wafer = 2});
  rig.parent.Run();
  EXPECT_TRUE(rig.parent.AllReturned());
  EXPECT_TRUE(rig.parent.blocks().empty());
  ASSERT_EQ(rig.parent.reports().size(), 2u);
  const WaferStep& step = rig.parent.reports()[1].wafer_step();
  EXPECT_EQ(step.step(), 1u);
  EXPECT_EQ(step.micro_batch_size(), 0);
  EXPECT_EQ(step.exposed_seconds(), 0);
  EXPECT_EQ(step.traffic().gradient_bytes_out(), 0u);
}

TEST(WaferCore, ReportsLossesTimesAndTraffic) {
  Rig rig(MustCompile(Job(2), 2), {.wafer = 1});
  rig.parent.Run();
  ASSERT_EQ(rig.parent.reports().size(), 2u);
  size_t weight_bytes = 0;  // of one step
  for (int tile : rig.plan.program.forward_stream) weight_bytes += rig.plan.TileBytes(tile);
  for (int tile : rig.plan.program.backward_stream) weight_bytes += rig.plan.TileBytes(tile);
  size_t gradient_bytes = 0;
  for (const GradientItem& g : rig.plan.program.gradient_stream) {
    gradient_bytes += rig.plan.GradientBytes(g.tile);
  }
  const size_t gradients = rig.plan.program.gradient_stream.size();
  for (int s = 0; s < 2; ++s) {
    const WaferStep& step = rig.parent.reports()[s].wafer_step();
    EXPECT_EQ(step.step(), static_cast<uint64_t>(s));
    EXPECT_EQ(std::vector<uint32_t>(step.micro_batch().begin(), step.micro_batch().end()),
              (std::vector<uint32_t>{4, 5, 6, 7}));
    for (double loss : step.loss_sum()) EXPECT_GT(loss, 0);
    EXPECT_GT(step.compute_seconds(), 0);
    EXPECT_GT(step.exposed_seconds(), 0);
    EXPECT_LE(step.compute_seconds() + step.exposed_seconds(), step.step_seconds());
    EXPECT_EQ(step.traffic().gradient_adds(), 3 * gradients * (s + 1));
    // Those that wait for credit, too.
    EXPECT_EQ(step.traffic().gradient_blocks_out(), gradients * (s + 1));
    EXPECT_EQ(step.traffic().gradient_bytes_out(), gradient_bytes * (s + 1));
  }
  // What was read ahead counts too, so only the last one is known.
  const TrafficCounters& traffic = rig.parent.reports()[1].wafer_step().traffic();
  EXPECT_EQ(traffic.weight_bytes_in(), 2 * weight_bytes);
}

TEST(WaferCore, AnAmendedJobSkipsABatch) {
  JobSpec job = Job(4);
  const auto losses = [](const JobSpec& of) {
    Rig rig(MustCompile(of));
    rig.parent.Run();  // the weights never change here, so a loss tells which batch it is of
    std::vector<std::vector<double>> steps;
    for (const NodeReport& report : rig.parent.reports()) {
      const auto& sums = report.wafer_step().loss_sum();
      steps.emplace_back(sums.begin(), sums.end());
    }
    return steps;
  };
  const auto plain = losses(job);
  Amendment* skip = job.mutable_training()->add_amendments();
  skip->set_from_step(1);
  skip->set_skip_batch(true);
  const auto amended = losses(job);
  ASSERT_EQ(amended.size(), 4u);
  EXPECT_EQ(amended[0], plain[0]);
  EXPECT_EQ(amended[1], plain[2]);
  EXPECT_EQ(amended[2], plain[3]);
  EXPECT_NE(amended[1], plain[1]);
}

TEST(WaferCore, AStepsTimeBeginsAfterTheValidationBeforeIt) {
  JobSpec job = Job(2);
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_training()->set_validate_every(1);
  Rig rig(MustCompile(job));
  rig.parent.Run();
  const std::vector<double>& times_s = rig.parent.report_times_s();
  ASSERT_EQ(times_s.size(), 4u);
  ASSERT_TRUE(rig.parent.reports()[1].has_wafer_validation());
  const auto step_s = [&](int i) { return rig.parent.reports()[i].wafer_step().step_seconds(); };
  EXPECT_EQ(step_s(0), times_s[0]);
  EXPECT_EQ(step_s(2), times_s[2] - times_s[1]);
}

TEST(WaferCore, ValidationReportsTheLossOfEveryMicroBatch) {
  JobSpec job = Job();
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_training()->set_validate_every(1);
  job.mutable_training()->set_global_batch(2);
  Rig rig(MustCompile(job));
  rig.parent.Run();
  ASSERT_EQ(rig.parent.reports().size(), 2u);
  const WaferValidation& validation = rig.parent.reports()[1].wafer_validation();
  EXPECT_EQ(validation.step(), 0u);
  ASSERT_EQ(validation.micro_batch_size(), rig.plan.validation_leaves);
  NaiveWeights naive;
  for (size_t i = 0; i < rig.weights.size(); ++i) {
    naive[rig.plan.parameters[i].name] = {rig.weights[i].begin(), rig.weights[i].end()};
  }
  for (int i = 0; i < validation.micro_batch_size(); ++i) {
    EXPECT_EQ(validation.micro_batch(i), static_cast<uint32_t>(i));
    const auto tokens = TestSequence(rig.plan, i, /*validation=*/true);
    EXPECT_NEAR(validation.loss_sum(i),
                NaiveLoss(rig.plan.job.model(), naive, {tokens.begin(), tokens.end() - 1},
                          {tokens.begin() + 1, tokens.end()}),
                1e-4);
  }
}

// Seven sequences in micro-batches of three: what fills the last one up does not count, and a wave
// more or less changes no bit.
TEST(WaferCore, AValidationCountsEverySequenceOnce) {
  JobSpec job = Job();
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_data()->set_validation_sequences(7);
  job.mutable_training()->set_validate_every(1);
  job.mutable_training()->set_micro_batch(3);
  std::vector<double> first;
  for (const uint32_t global_batch : {3u, 9u}) {
    job.mutable_training()->set_global_batch(global_batch);
    Rig rig(MustCompile(job));
    rig.parent.Run();
    const auto& sums = rig.parent.reports()[1].wafer_validation().loss_sum();
    ASSERT_EQ(sums.size(), 3);
    NaiveWeights naive;
    for (size_t i = 0; i < rig.weights.size(); ++i) {
      naive[rig.plan.parameters[i].name] = {rig.weights[i].begin(), rig.weights[i].end()};
    }
    const auto tokens = TestSequence(rig.plan, 6, /*validation=*/true);
    EXPECT_NEAR(sums[2],
                NaiveLoss(rig.plan.job.model(), naive, {tokens.begin(), tokens.end() - 1},
                          {tokens.begin() + 1, tokens.end()}),
                1e-4);
    if (first.empty()) first.assign(sums.begin(), sums.end());
    EXPECT_EQ(std::vector<double>(sums.begin(), sums.end()), first);
  }
}

TEST(WaferCore, TokensThatCannotBeReadEndTheEpochWithTheirLine) {
  for (const bool validation : {false, true}) {
    JobSpec job = Job(2);
    job.mutable_data()->set_validation("validation.bin");
    job.mutable_training()->set_validate_every(1);
    // 8 sequences of the first step, and 8 of the validation after it, can be read.
    Rig rig(MustCompile(job), {.readable_sequences = validation ? 12u : 4u});
    rig.parent.Run();
    EXPECT_EQ(rig.parent.failure().message(), "train.bin: was changed");
    EXPECT_EQ(rig.parent.reports().size(), validation ? 1u : 0u);
  }
}

TEST(WaferCore, AnErrorOfTheComputationIsPassedOn) {
  const absl::Status lost = absl::InternalError("a kernel thread died");
  Rig rig(MustCompile(Job()), {.compute_status = lost});
  rig.parent.Run();
  EXPECT_EQ(rig.parent.failure(), lost);
  EXPECT_TRUE(rig.parent.reports().empty());
}

// ---- generation --------------------------------------------------------------------------------

JobSpec Generation(std::vector<uint32_t> prompt, int tokens) {
  JobSpec job = Job();
  for (uint32_t token : prompt) job.mutable_generate()->add_prompt(token);
  job.mutable_generate()->set_tokens(tokens);
  return job;
}

TEST(Generation, GreedyTokensAreTheLikeliestOfThePlainModel) {
  // The prompt is shorter than the context (16), what is generated makes it longer.
  Rig rig(MustCompile(Generation({3, 1, 4, 1, 5}, 20), 2));
  rig.parent.Run();
  EXPECT_TRUE(rig.parent.AllReturned());
  ASSERT_EQ(rig.parent.reports().size(), 20u);
  NaiveWeights naive;
  for (size_t i = 0; i < rig.weights.size(); ++i) {
    naive[rig.plan.parameters[i].name] = {rig.weights[i].begin(), rig.weights[i].end()};
  }
  std::vector<int32_t> tokens = {3, 1, 4, 1, 5};
  for (int i = 0; i < 20; ++i) {
    const size_t window = std::min<size_t>(tokens.size(), 16);
    const auto logits =
        NaiveLogits(rig.plan.job.model(), naive, {tokens.end() - window, tokens.end()});
    const auto last = logits.end() - 64;
    const int32_t likeliest = static_cast<int32_t>(std::max_element(last, logits.end()) - last);
    const GeneratedToken& made = rig.parent.reports()[i].generated_token();
    EXPECT_EQ(made.index(), static_cast<uint64_t>(i));
    ASSERT_EQ(made.token(), static_cast<uint32_t>(likeliest)) << i;
    tokens.push_back(likeliest);
  }
}

TEST(Generation, OnlyOneWaferComputes) {
  Rig rig(MustCompile(Generation({3, 1}, 3), 2), {.wafer = 1});
  rig.parent.Run();
  EXPECT_TRUE(rig.parent.AllReturned());
  EXPECT_TRUE(rig.parent.reports().empty());
}

TEST(Generation, SamplesDependOnTheSeedAndNotOnTheTiles) {
  const auto sample = [](uint64_t seed, uint64_t tile_elements) {
    JobSpec job = Generation({9}, 12);
    job.mutable_generate()->set_temperature(3);
    job.mutable_generate()->set_seed(seed);
    job.mutable_training()->set_tile_elements(tile_elements);
    Rig rig(MustCompile(job));
    rig.parent.Run();
    std::vector<uint32_t> tokens;
    for (const NodeReport& r : rig.parent.reports()) tokens.push_back(r.generated_token().token());
    return tokens;
  };
  EXPECT_EQ(sample(1, 1024), sample(1, 1 << 20));
  EXPECT_NE(sample(1, 1024), sample(2, 1024));
}

}  // namespace
}  // namespace waferstream
