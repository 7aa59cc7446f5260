#include "client/generation.h"

#include <filesystem>
#include <fstream>

#include "checkpoint/config.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

class GenerationTest : public testing::Test {
 protected:
  // A checkpoint folder, as far as a request looks at it.
  GenerationRequest RequestFor(uint32_t vocab) {
    ModelSpec model;
    model.set_family("gpt2");
    model.set_layers(1);
    model.set_hidden(16);
    model.set_heads(2);
    model.set_vocab(vocab);
    model.set_context(8);
    model.set_ffn(64);
    model.set_tied(true);
    model.set_norm_eps(1e-5);
    GenerationRequest request;
    request.checkpoint = testing::TempDir() + "/checkpoint";
    std::filesystem::create_directories(request.checkpoint);
    std::ofstream(request.checkpoint + "/config.json") << ConfigJson(model, StoredDtype::kF32);
    return request;
  }
};

TEST_F(GenerationTest, BytesAreTokens) {
  GenerationRequest request = RequestFor(256);
  request.prompt = "a\xFF";
  request.tokens = 3;
  const absl::StatusOr<JobSpec> job = GenerationJob(request);
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_EQ(job->generate().prompt_size(), 2);
  EXPECT_EQ(job->generate().prompt(0), uint32_t{'a'});
  EXPECT_EQ(job->generate().prompt(1), 255u);
  EXPECT_EQ(job->generate().tokens(), 3u);
  EXPECT_EQ(job->model().hidden(), 16u);
  EXPECT_EQ(job->checkpoint().from(), request.checkpoint);
}

TEST_F(GenerationTest, OtherVocabulariesNeedTokens) {
  GenerationRequest request = RequestFor(1000);
  request.prompt = "a";
  EXPECT_EQ(GenerationJob(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.prompt.clear();
  EXPECT_EQ(GenerationJob(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.prompt_tokens = {999};
  EXPECT_TRUE(GenerationJob(request).ok());
  request.prompt_tokens = {1000};
  EXPECT_EQ(GenerationJob(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(GenerationTest, Rendering) {
  ModelSpec model;
  model.set_vocab(256);
  EXPECT_EQ(RenderTokens(model, {'h', 'i'}, true) + RenderTokens(model, {'!'}, false), "hi!");
  model.set_vocab(300);
  EXPECT_EQ(RenderTokens(model, {1, 299}, true) + RenderTokens(model, {7}, false), "1 299 7");
}

}  // namespace
}  // namespace waferstream
