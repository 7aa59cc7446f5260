#include "plan/parameter_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "plan/optimizer_state.h"
#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> NamesWhere(const Plan& plan,
                                    const std::function<bool(const Parameter&)>& is) {
  std::vector<std::string> names;
  for (const Parameter& p : plan.parameters) {
    if (is(p)) names.push_back(p.name);
  }
  return names;
}

std::vector<std::string> Trained(const JobSpec& job) {
  return NamesWhere(*Compile(job, {}), [](const Parameter& p) { return p.trained; });
}

std::vector<std::string> Decayed(const JobSpec& job) {
  return NamesWhere(*Compile(job, {}), [](const Parameter& p) { return p.decayed; });
}

std::string Refusal(const JobSpec& job) {
  const auto plan = Compile(job, {});
  EXPECT_TRUE(absl::IsInvalidArgument(plan.status())) << plan.status();
  return std::string(plan.status().message());
}

JobSpec WithMuon() {
  JobSpec job = TestJob();
  Muon* muon = job.mutable_training()->mutable_optimizer()->mutable_muon();
  muon->set_lr(0.02);
  muon->set_momentum(0.95);
  *muon->mutable_rest() = TestJob().training().optimizer().adamw();
  job.mutable_training()->set_tile_elements(4096);
  return job;
}

JobSpec WithAdafactor() {
  JobSpec job = TestJob();
  Adafactor* adafactor = job.mutable_training()->mutable_optimizer()->mutable_adafactor();
  adafactor->set_lr(0.01);
  adafactor->set_beta2_decay(-0.8);
  adafactor->set_eps(1e-3);
  adafactor->set_clip_threshold(1);
  job.mutable_training()->set_tile_elements(4096);
  return job;
}

TEST(ParameterChoice, WhatAPatternFreezesIsNotTrained) {
  JobSpec job = TestJob();
  const size_t all = Trained(job).size();
  job.mutable_training()->add_freeze("h.0.*");
  EXPECT_THAT(Trained(job), Not(Contains(HasSubstr("h.0."))));
  EXPECT_EQ(Trained(job).size(), all - 12);
  job.mutable_training()->add_freeze("transformer.wpe.weight");  // with the prefix of its file
  EXPECT_THAT(Trained(job), Not(Contains("wpe.weight")));
  const Plan plan = *Compile(job, {});
  for (const Parameter& p : plan.parameters) EXPECT_EQ(p.contributions > 0, p.trained) << p.name;
  for (const GradientItem& item : plan.program.gradient_stream) {
    EXPECT_TRUE(plan.parameters[plan.tiles[item.tile].parameter].trained);
  }
}

TEST(ParameterChoice, OfAJobWithAdaptersNothingElseIsTrained) {
  JobSpec job = TestJob();
  Lora* lora = job.mutable_model()->mutable_lora();
  lora->set_rank(4);
  lora->set_alpha(8);
  lora->add_targets("c_attn");
  EXPECT_THAT(Trained(job), Each(HasSubstr(".lora_")));
  EXPECT_EQ(Trained(job).size(), 4u);
  job.mutable_training()->add_freeze("h.1.*");
  EXPECT_THAT(Trained(job),
              ElementsAre("h.0.attn.c_attn.lora_A.weight", "h.0.attn.c_attn.lora_B.weight"));
}

TEST(ParameterChoice, DecayIsOfMatricesOrOfWhatPatternsSay) {
  JobSpec job = TestJob();
  const std::vector<std::string> matrices = Decayed(job);
  EXPECT_THAT(matrices, Contains("wte.weight"));
  EXPECT_THAT(matrices, Not(Contains("ln_f.weight")));
  job.mutable_training()->add_no_decay("wte.*");
  job.mutable_training()->add_no_decay("wpe.*");
  EXPECT_EQ(Decayed(job).size(), matrices.size() - 2);
  EXPECT_THAT(Decayed(job), Not(Contains("wte.weight")));
  job.mutable_training()->add_decay("ln_f.*");
  job.mutable_training()->add_decay("wpe.weight");
  EXPECT_THAT(Decayed(job), ElementsAre("ln_f.weight", "ln_f.bias"));
}

TEST(ParameterChoice, APatternOfNothingIsRefusedWithWhatItMayMean) {
  const auto with = [](void (TrainingSpec::*add)(const char*), const char* pattern) {
    JobSpec job = TestJob();
    (job.mutable_training()->*add)(pattern);
    return job;
  };
  EXPECT_EQ(Refusal(with(&TrainingSpec::add_freeze, "wte.wieght")),
            "training.freeze: \"wte.wieght\" matches no tensor of the model; did you mean "
            "wte.weight?");
  EXPECT_EQ(Refusal(with(&TrainingSpec::add_decay, "layers.*.q_proj.weight")),
            "training.decay: \"layers.*.q_proj.weight\" matches no tensor of the model; names are "
            "like ln_f.bias");
  EXPECT_THAT(Refusal(with(&TrainingSpec::add_no_decay, "h.[")), HasSubstr("training.no_decay: "));
  EXPECT_EQ(Refusal(with(&TrainingSpec::add_freeze, "*")),
            "training.freeze: nothing is left to train");
}

TEST(ParameterChoice, MuonsOwnAreTheMatricesOfProducts) {
  JobSpec job = WithMuon();
  const auto own = [&] {
    return NamesWhere(*Compile(job, {}), [](const Parameter& p) { return p.orthogonal; });
  };
  EXPECT_THAT(
      own(), ElementsAre("h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight", "h.0.mlp.c_fc.weight",
                         "h.0.mlp.c_proj.weight", "h.1.attn.c_attn.weight",
                         "h.1.attn.c_proj.weight", "h.1.mlp.c_fc.weight", "h.1.mlp.c_proj.weight"));
  job.mutable_training()->add_freeze("h.0.*");
  EXPECT_EQ(own().size(), 4u);
  *job.mutable_training()->mutable_optimizer() = TestJob().training().optimizer();
  EXPECT_THAT(own(), IsEmpty());
}

TEST(ParameterChoice, AMatrixThatIsNeededWholeIsOneTile) {
  for (JobSpec job : {WithMuon(), WithAdafactor()}) {
    const bool every = job.training().optimizer().has_adafactor();
    const Plan plan = *Compile(job, {});
    for (const Parameter& p : plan.parameters) {
      if (!every && !p.orthogonal) continue;
      EXPECT_EQ(p.tile_count, 1) << p.name;
    }
    job.mutable_training()->set_tile_elements(1024);
    EXPECT_THAT(Refusal(job), HasSubstr("training.tile: 1024 is less than the 4096 elements of "
                                        "h.0.mlp.c_fc.weight, which training.optimizer."));
    // What is not trained may be cut.
    job.mutable_training()->add_freeze("*.c_*.weight");
    job.mutable_training()->set_tile_elements(2048);
    const auto frozen = Compile(job, {});
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    const auto cut = NamesWhere(*frozen, [](const Parameter& p) { return p.tile_count > 1; });
    EXPECT_THAT(cut, Contains("h.0.mlp.c_fc.weight"));
  }
}

// Its rms is of all of it: so is the matrix whose tiles it goes with.
TEST(ParameterChoice, ASlicedVectorIsAsWholeAsItsMatrix) {
  JobSpec job = WithAdafactor();
  job.mutable_model()->set_family("gptj");
  job.mutable_model()->set_tied(false);
  const auto plan = Compile(job, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Parameter& bias = plan->parameters.back();
  ASSERT_EQ(bias.name, "lm_head.bias");
  ASSERT_GE(bias.cut_like, 0);
  EXPECT_EQ(bias.tile_count, 1);
  job.mutable_training()->add_freeze("*.weight");
  job.mutable_training()->set_tile_elements(1024);
  EXPECT_THAT(Refusal(job), HasSubstr("1024 is less than the 2048 elements of lm_head.weight"));
}

TEST(ParameterChoice, StatesAreWhatTheOptimizerKeepsOfEach) {
  const auto states = [](const JobSpec& job, const std::string& name) {
    const Plan plan = *Compile(job, {});
    const StateTable table = StatesOf(plan);
    std::vector<std::string> names;
    for (size_t p = 0; p < plan.parameters.size(); ++p) {
      if (plan.parameters[p].name != name) continue;
      for (const OptimizerState& state : table[p]) names.push_back(state.name);
    }
    return names;
  };
  EXPECT_THAT(states(WithMuon(), "h.0.mlp.c_fc.weight"), ElementsAre("momentum"));
  EXPECT_THAT(states(WithMuon(), "wte.weight"), ElementsAre("exp_avg", "exp_avg_sq"));
  EXPECT_THAT(states(WithMuon(), "ln_f.bias"), ElementsAre("exp_avg", "exp_avg_sq"));
  EXPECT_THAT(states(WithAdafactor(), "wte.weight"), ElementsAre("row_var", "col_var"));
  EXPECT_THAT(states(WithAdafactor(), "ln_f.bias"), ElementsAre("variance"));
}

TEST(ParameterChoice, WhoLooksAtValidationsNeedsThem) {
  JobSpec job = TestJob();
  job.mutable_training()->mutable_early_stop()->set_patience(1);
  EXPECT_THAT(Refusal(job), HasSubstr("training.early_stop: needs data.validation"));
  job.mutable_data()->set_validation("v.bin");
  EXPECT_THAT(Refusal(job), HasSubstr("training.early_stop: needs data.validation"));
  job.mutable_training()->set_validate_every(2);
  EXPECT_TRUE(Compile(job, {}).ok());
  job = TestJob();
  job.mutable_checkpoint()->set_keep_best(true);
  EXPECT_THAT(Refusal(job), HasSubstr("checkpoint.keep_best: needs data.validation"));
}

}  // namespace
}  // namespace waferstream
