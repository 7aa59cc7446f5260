// One hash of what a job may have beside the plain training of a plain model: adapters, dropout,
// further terms of the loss, tokens that are no targets, documents apart, mixed files.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <tuple>

#include "base/philox.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "data/token_format.h"
#include "plan/plan_costs.h"
#include "tests/clusters.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

constexpr uint32_t kEnd = 60;  // the last id of the small job's vocabulary

// Tokens of documents of about ten tokens, of which the first ones are no targets; all of the last
// few samples are none.
std::string WriteDocuments(const std::string& name, uint32_t tokens) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream out(path, std::ios::binary);
  const TokenFileHeader header{
      .tokens = tokens, .flags = TokenFileHeader::kMasked, .end_of_text = kEnd, .vocab = 61};
  out.write(reinterpret_cast<const char*>(&header), sizeof(header));
  uint32_t token = 0, since = 0;
  for (uint32_t i = 0; i < tokens; ++i) {
    const auto random = Philox(9, Purpose::kSample, 0, i);
    token = random[0] % 10 == 0 ? kEnd : (token + 1 + random[1] % 3) % kEnd;
    const bool marked = since++ < 3 || i + 30 > tokens;
    if (token == kEnd) since = 0;
    const uint16_t value = static_cast<uint16_t>(token | (marked ? MaskBit(2) : 0));
    out.write(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return path;
}

JobSpec WithLora(JobSpec job, const std::vector<std::string>& targets) {
  Lora* lora = job.mutable_model()->mutable_lora();
  lora->set_rank(3);
  lora->set_alpha(6);
  for (const std::string& target : targets) lora->add_targets(target);
  return job;
}

JobSpec Llama(JobSpec job) {
  job.mutable_model()->set_family("llama");
  job.mutable_model()->set_heads(4);
  job.mutable_model()->set_kv_heads(2);
  return job;
}

JobSpec OfDocuments(JobSpec job) {
  job.mutable_data()->set_train(0, WriteDocuments("documents.bin", 500));
  job.mutable_data()->set_validation(WriteDocuments("more_documents.bin", 90));
  job.mutable_data()->set_isolate_documents(true);
  EXPECT_TRUE(RecordContent(PosixDisk(), job).ok());
  return job;
}

struct Variant {
  const char* name;
  std::function<JobSpec(JobSpec)> of;
};

std::vector<Variant> Variants() {
  return {
      {"dropout",
       [](JobSpec job) {
         job.mutable_model()->set_dropout(0.1);
         return job;
       }},
      {"loss_terms",
       [](JobSpec job) {
         job.mutable_training()->set_label_smoothing(0.1);
         job.mutable_training()->set_z_loss(1e-2);
         return job;
       }},
      {"lora",
       [](JobSpec job) {
         return WithLora(std::move(job), {"c_attn", "h.1.mlp.*"});
       }},
      {"lora_of_all_with_dropout",
       [](JobSpec job) {
         job = WithLora(std::move(job), {"*"});
         job.mutable_model()->mutable_lora()->set_dropout(0.2);
         job.mutable_model()->set_dropout(0.1);
         return job;
       }},
      {"lora_of_llama",
       [](JobSpec job) {
         return WithLora(Llama(std::move(job)), {"[qv]_proj", "down_proj"});
       }},
      {"documents", OfDocuments},
      {"documents_of_llama", [](JobSpec job) { return OfDocuments(Llama(std::move(job))); }},
      {"mixed_files",
       [](JobSpec job) {
         job.mutable_data()->add_train(job.data().validation());
         job.mutable_data()->add_weights(1);
         job.mutable_data()->add_weights(2);
         EXPECT_TRUE(RecordContent(PosixDisk(), job).ok());
         return job;
       }},
  };
}

class TrainingLoopHashTest : public testing::TestWithParam<std::tuple<Variant, Precision>> {
 protected:
  JobSpec Job() const {
    JobSpec job = SmallJob(5);
    job.mutable_training()->set_precision(std::get<1>(GetParam()));
    return std::get<0>(GetParam()).of(job);
  }
};

TEST_P(TrainingLoopHashTest, OnAnyClusterWithAnyRecomputation) {
  const Numbers expected = Plainest(Job());
  ASSERT_EQ(expected.losses.size(), 3u);
  uint64_t seed = 400;
  for (const Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
    for (const int wafers : {1, 3}) {
      const Cluster c = {wafers, 2, 2, 2, 2, recompute};
      ExpectSame(expected, On(c, Job()), c, ++seed);
    }
    const Cluster tight = {2, 2, 1, 1, 1, recompute};
    ExpectSame(expected, WithLeastSram(On(tight, Job()), {2, 1, 1}), tight, ++seed);
  }
}

TEST_P(TrainingLoopHashTest, IsAnotherJobThanThePlainOne) {
  JobSpec plain = SmallJob(5);
  plain.mutable_training()->set_precision(std::get<1>(GetParam()));
  EXPECT_NE(Plainest(Job()).losses, Plainest(plain).losses);
}

INSTANTIATE_TEST_SUITE_P(, TrainingLoopHashTest,
                         testing::Combine(testing::ValuesIn(Variants()),
                                          testing::Values(F32, BF16)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  Precision_Name(std::get<1>(info.param));
                         });

// What is frozen streams to the wafers, and nothing of it comes back.
TEST(LoraTest, NoGradientBytesForFrozenWeights) {
  const JobSpec job = WithLora(SmallJob(5), {"c_attn"});
  const ClusterShape shape = {1, 1, 1};
  const auto plan = Compile(job, shape);
  ASSERT_TRUE(plan.ok()) << plan.status();
  uint64_t adapters = 0;
  for (const Parameter& p : plan->parameters) {
    EXPECT_EQ(p.trained, p.adapter) << p.name;
    if (p.adapter) adapters += p.rows * p.cols * sizeof(float);
  }
  const InprocResult run = RunSmallJob(job, {.shape = shape});
  const uint64_t planned = job.training().steps() * CostsOf(*plan).traffic.gradients_from_wafer;
  EXPECT_EQ(run.wafers[0].gradient_bytes_out(), planned);
  EXPECT_GE(planned, 3 * adapters);
  EXPECT_LT(planned, 3 * adapters * 6);  // five micro-batches at the most, and headers
}

// A model that was trained is given adapters: they begin as ones that change nothing.
TEST(LoraTest, BeginsAsThePlainModelOfACheckpoint) {
  JobSpec plain = SmallJob(5);
  plain.mutable_checkpoint()->set_dir(EmptyFolder("plain"));
  const auto trained = RunInproc(plain, {.shape = {1, 1, 1}});
  ASSERT_TRUE(trained.ok()) << trained.status();
  JobSpec tuned = WithLora(SmallJob(5), {"c_attn", "c_proj"});
  tuned.mutable_checkpoint()->set_from(trained->checkpoint);
  tuned.mutable_checkpoint()->set_weights_only(true);
  // A learning rate with which nothing is learnt: the validation is the plain model's.
  tuned.mutable_training()->mutable_optimizer()->mutable_adamw()->set_lr(1e-30);
  tuned.mutable_training()->mutable_schedule()->Clear();
  const InprocResult run = RunSmallJob(tuned, {.shape = {2, 2, 1}});
  ASSERT_FALSE(run.validation_losses.empty());
  EXPECT_NEAR(run.validation_losses.back(), trained->validation_losses.back(), 1e-6);
}

}  // namespace
}  // namespace waferstream
