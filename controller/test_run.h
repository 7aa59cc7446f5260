// A job on two wafers and two MemoryX nodes, and what its nodes report, for tests of a run's parts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "controller/membership.h"
#include "plan/plan.h"
#include "plan/shard_squares.h"
#include "proto/node.pb.h"

namespace waferstream {

// 4 micro-batches of 2 sequences of 8 tokens; 4 tiles, tile t in shard t % 2; three steps of plain
// SGD without clipping. Two micro-batches of validation, if one is due.
inline Plan RunPlan() {
  Plan plan;
  plan.job.mutable_model()->set_context(8);
  TrainingSpec* training = plan.job.mutable_training();
  training->set_steps(3);
  training->set_global_batch(8);
  training->set_micro_batch(2);
  training->mutable_optimizer()->mutable_sgd()->set_lr(0.5);
  plan.shape = {.wafers = 2, .memoryx = 2, .swarmx = 1, .shards = {{{0}, {}}, {{1}, {}}}};
  plan.leaves = 4;
  plan.validation_leaves = 2;
  plan.validation_waves = 1;
  plan.validation_sequences = 4;
  plan.tiles.resize(4);
  for (int t = 0; t < 4; ++t) plan.tiles[t].shard = t % 2;
  return plan;
}

// Positions in `placed`.
enum RunProcess { kM0, kM1, kS0, kW0, kW1 };

inline Membership RunMembers() {
  Membership members;
  members.placed = {{MEMORYX, 0, "m0"},
                    {MEMORYX, 1, "m1"},
                    {SWARMX, 0, "s0"},
                    {WAFER, 0, "w0"},
                    {WAFER, 1, "w1"}};
  members.shape = RunPlan().shape;
  return members;
}

// Of micro-batches and the sums of their losses.
inline NodeReport WaferReport(uint64_t step,
                              const std::vector<std::pair<uint32_t, double>>& losses) {
  NodeReport report;
  report.mutable_wafer_step()->set_step(step);
  for (const auto& [micro_batch, loss] : losses) {
    report.mutable_wafer_step()->add_micro_batch(micro_batch);
    report.mutable_wafer_step()->add_loss_sum(loss);
  }
  return report;
}

// Of a MemoryX process whose gradients' squares are 1 and 3.5.
inline NodeReport GradientsReport(uint64_t step, int process) {
  NodeReport report;
  report.mutable_gradients_ready()->set_step(step);
  const std::vector<int> tiles = {process, process + 2};
  const std::vector<double> squares = {1, 3.5};
  for (const ShardSquares& shard : SquaresByShard(RunPlan(), tiles, squares)) {
    *report.mutable_gradients_ready()->add_shards() = shard;
  }
  return report;
}

inline NodeReport WrittenReport(uint64_t steps_done, const std::string& error = "") {
  NodeReport report;
  report.mutable_checkpoint_written()->set_steps_done(steps_done);
  report.mutable_checkpoint_written()->set_error(error);
  return report;
}

// All that the nodes report of one step, by process. The loss is `loss`, exactly.
inline std::vector<std::pair<int, NodeReport>> StepReports(uint64_t step, double loss) {
  const double sum = loss * 16;  // of 16 tokens
  return {{kW0, WaferReport(step, {{0, sum}, {1, sum}})},
          {kM0, GradientsReport(step, 0)},
          {kW1, WaferReport(step, {{2, sum}, {3, sum}})},
          {kM1, GradientsReport(step, 1)}};
}

}  // namespace waferstream
