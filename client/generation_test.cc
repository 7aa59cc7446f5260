#include "client/generation.h"

#include <filesystem>
#include <fstream>

#include "checkpoint/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace waferstream {
namespace {

using Json = nlohmann::json;

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
    std::filesystem::remove_all(request.checkpoint);
    std::filesystem::create_directories(request.checkpoint);
    std::ofstream(request.checkpoint + "/config.json") << ConfigJson(model, StoredDtype::kF32);
    return request;
  }
};

TEST_F(GenerationTest, BytesAreTokens) {
  GenerationRequest request = RequestFor(256);
  request.prompt = "a\xFF";
  request.tokens = 3;
  request.top_p = 0.5;
  const auto tokenizer = TokenizerOf(request);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ASSERT_TRUE(tokenizer->has_value());
  const absl::StatusOr<JobSpec> job = GenerationJob(request, &**tokenizer);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->generate().top_p(), 0.5);
  EXPECT_EQ(job->generate().stop_size(), 0);
  ASSERT_EQ(job->generate().prompt_size(), 2);
  EXPECT_EQ(job->generate().prompt(0), uint32_t{'a'});
  EXPECT_EQ(job->generate().prompt(1), 255u);
  EXPECT_EQ(job->generate().tokens(), 3u);
  EXPECT_EQ(job->model().hidden(), 16u);
  EXPECT_EQ(job->checkpoint().from(), request.checkpoint);
}

TEST_F(GenerationTest, WithoutATokenizerItTakesNumbers) {
  GenerationRequest request = RequestFor(1000);
  request.prompt = "a";
  EXPECT_FALSE(TokenizerOf(request)->has_value());
  EXPECT_EQ(GenerationJob(request, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
  request.prompt.clear();
  EXPECT_EQ(GenerationJob(request, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
  request.prompt_tokens = {999};
  EXPECT_TRUE(GenerationJob(request, nullptr).ok());
  request.prompt_tokens = {1000};
  EXPECT_EQ(GenerationJob(request, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(GenerationTest, TheCheckpointsTokenizerMakesTokens) {
  GenerationRequest request = RequestFor(500);
  std::filesystem::copy("tests/golden/tokens/chat", request.checkpoint,
                        std::filesystem::copy_options::recursive);
  request.prompt = "The weights<|im_end|>";
  const auto tokenizer = TokenizerOf(request);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ASSERT_TRUE(tokenizer->has_value());
  const auto job = GenerationJob(request, &**tokenizer);
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_GT(job->generate().prompt_size(), 1);
  EXPECT_EQ(*job->generate().prompt().rbegin(), 2u);
  // <|endoftext|> and the eos_token.
  EXPECT_EQ(Json(job->generate().stop()), Json({0, 2}));
  request.prompt = "\xFF";
  EXPECT_THAT(std::string(GenerationJob(request, &**tokenizer).status().message()),
              testing::HasSubstr("--prompt: is not UTF-8"));
}

TEST_F(GenerationTest, ATokenizerOfMoreTokensIsRefused) {
  GenerationRequest request = RequestFor(479);
  request.tokenizer = "tests/golden/tokens/gpt2";
  request.prompt = "a";
  EXPECT_EQ(TokenizerOf(request).status().message(),
            "tests/golden/tokens/gpt2/tokenizer.json: has ids up to 479; the model's vocab is 479");
}

TEST_F(GenerationTest, Rendering) {
  GenerateSpec spec;
  spec.add_prompt('o');
  const auto bytes = OpenTokenizer("bytes");
  TokenRenderer text(spec, &*bytes);
  EXPECT_EQ(*text.Add({'h', 'i'}), "hi");
  EXPECT_EQ(*text.Add({'!', 0x92}), "!\x92");
  EXPECT_EQ(*text.Finish(), "");
  TokenRenderer numbers(spec, nullptr);
  EXPECT_EQ(*numbers.Add({1, 299}), "1 299");
  EXPECT_EQ(*numbers.Add({7}), " 7");
  spec.add_stop(299);
  TokenRenderer stopping(spec, nullptr);
  EXPECT_EQ(*stopping.Add({1, 299}), "1");
}

}  // namespace
}  // namespace waferstream
