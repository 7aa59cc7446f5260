// Checkpoints from elsewhere, and those made without a cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <thread>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/config.h"
#include "checkpoint/folder.h"
#include "checkpoint/initial_checkpoint.h"
#include "checkpoint/initialise.h"
#include "checkpoint/inspect.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

using testing::HasSubstr;

// A model of one parameter that a test can write by hand.
std::vector<Parameter> OneVector(int64_t n) {
  Parameter p;
  p.name = "ln_f.bias";
  p.prefix = "transformer.";
  p.rows = n;
  p.cols = 1;
  return {p};
}

// Writes a folder whose model files hold the given tensors; `data` follows the header.
void WriteForeign(const std::string& folder, const std::string& file,
                  std::vector<TensorInfo> tensors, const std::string& data) {
  ASSERT_TRUE(WriteSmallFile(PosixDisk(), folder + "/config.json",
                             ConfigJson(OddJob("").model(), StoredDtype::kF32))
                  .ok());
  ASSERT_TRUE(WriteSmallFile(PosixDisk(), folder + "/" + file, LayOutTensors(tensors) + data).ok());
}

template <class T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

absl::StatusOr<std::vector<float>> ReadVector(const std::string& folder, int64_t n) {
  ASSIGN_OR_RETURN(
      const CheckpointReader reader,
      CheckpointReader::Open(PosixDisk(), folder, OddJob("").model(), OneVector(n), {}));
  std::vector<float> values(n);
  RETURN_IF_ERROR(reader.ReadWeights(0, {0, n}, values.data()));
  return values;
}

TEST(ForeignCheckpoint, HalfPrecisionBecomesExactFp32) {
  const std::string folder = FreshFolder();
  const std::vector<uint16_t> half = {0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x8000};
  WriteForeign(folder, "model.safetensors", {{"transformer.ln_f.bias", "F16", {6}, 0, 12}},
               BytesOf(half));
  const auto values = ReadVector(folder, 6);
  ASSERT_TRUE(values.ok()) << values.status();
  const std::vector<float> expected = {1, -2, 0x1p-24f, 1023 * 0x1p-24f, 65504, -0.0f};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>((*values)[i]), std::bit_cast<uint32_t>(expected[i])) << i;
  }
}

TEST(ForeignCheckpoint, Bf16WithoutPrefixBesideAMask) {
  const std::string folder = FreshFolder();
  const std::vector<uint16_t> bf16 = {0x3f80, 0x4049, 0xff80};
  WriteForeign(folder, "model.safetensors",
               {{"h.0.attn.bias", "BOOL", {1, 2}, 0, 2}, {"ln_f.bias", "BF16", {3}, 0, 6}},
               "\1\1" + BytesOf(bf16));
  const auto values = ReadVector(folder, 3);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ(*values, (std::vector<float>{1.0f, 3.140625f, -INFINITY}));
}

TEST(ForeignCheckpoint, ShardsAreOneModel) {
  const std::string folder = FreshFolder();
  WriteForeign(folder, "model-00001-of-00002.safetensors", {{"h.0.attn.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{7}));
  WriteForeign(folder, "model-00002-of-00002.safetensors", {{"ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  EXPECT_EQ(*ReadVector(folder, 1), std::vector<float>{8});
}

// As the cache of Hugging Face's hub has them: names that are links to where the bytes are.
TEST(ForeignCheckpoint, LinksAreFollowed) {
  const std::string root = FreshFolder();
  const std::string folder = root + "/snapshots/1";
  fs::create_directories(folder);
  fs::create_directories(root + "/blobs");
  WriteForeign(folder, "model.safetensors", {{"ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  for (const std::string name : {"config.json", "model.safetensors"}) {
    fs::rename(folder + "/" + name, root + "/blobs/" + name);
    fs::create_symlink("../../blobs/" + name, folder + "/" + name);
  }
  EXPECT_EQ(*ReadVector(folder, 1), std::vector<float>{8});
  fs::remove(root + "/blobs/model.safetensors");  // a download that was not finished
  EXPECT_THAT(std::string(ReadVector(folder, 1).status().message()),
              HasSubstr("model.safetensors: No such file"));
}

TEST(ForeignCheckpoint, AVariantBesideTheModelIsNotRead) {
  const std::string folder = FreshFolder();
  WriteForeign(folder, "model.fp16.safetensors", {{"ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{7}));
  EXPECT_THAT(std::string(ReadVector(folder, 1).status().message()), HasSubstr("to choose among"));
  WriteForeign(folder, "model.safetensors", {{"ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  EXPECT_EQ(*ReadVector(folder, 1), std::vector<float>{8});
}

TEST(ForeignCheckpoint, AnIndexSaysWhereATensorIs) {
  const std::string folder = FreshFolder();
  WriteForeign(folder, "a.safetensors", {{"h.0.attn.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{7}));
  WriteForeign(folder, "b.safetensors", {{"ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  const auto with_index = [&](const std::string& map) {
    EXPECT_TRUE(WriteSmallFile(PosixDisk(), folder + "/model.safetensors.index.json",
                               "{\"weight_map\": " + map + "}")
                    .ok());
    return ReadVector(folder, 1);
  };
  EXPECT_EQ(*with_index(R"({"h.0.attn.bias": "a.safetensors", "ln_f.bias": "b.safetensors"})"),
            std::vector<float>{8});
  EXPECT_THAT(
      std::string(
          with_index(R"({"ln_f.bias": "a.safetensors", "x": "b.safetensors"})").status().message()),
      HasSubstr("its index says that a.safetensors has the tensor 'ln_f.bias'"));
  WriteForeign(folder, "a.safetensors", {{"transformer.ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{7}));
  EXPECT_THAT(
      std::string(
          with_index(R"({"transformer.ln_f.bias": "a.safetensors", "ln_f.bias": "b.safetensors"})")
              .status()
              .message()),
      HasSubstr("is there a second time"));
}

TEST(ForeignCheckpoint, WeightsThatAreNoNumbersAreNamed) {
  const std::string folder = FreshFolder();
  for (const float bad : {NAN, INFINITY, -INFINITY, 1.0f}) {
    WriteForeign(folder, "model.safetensors", {{"ln_f.bias", "F32", {3}, 0, 12}},
                 BytesOf(std::vector<float>{0, 1, bad}));
    const auto reader =
        CheckpointReader::Open(PosixDisk(), folder, OddJob("").model(), OneVector(3), {});
    ASSERT_TRUE(reader.ok()) << reader.status();
    const absl::Status status = reader->CheckContent();
    EXPECT_EQ(status.ok(), std::isfinite(bad)) << status;
    if (status.ok()) continue;
    EXPECT_THAT(std::string(status.message()), HasSubstr("'transformer.ln_f.bias' holds "));
    EXPECT_THAT(std::string(status.message()), HasSubstr("in row 2"));
  }
}

TEST(ForeignCheckpoint, WhatDoesNotFitIsNamed) {
  const std::string folder = FreshFolder();
  WriteForeign(folder, "model.safetensors", {{"ln_f.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  EXPECT_THAT(std::string(ReadVector(folder, 2).status().message()),
              HasSubstr("tensor 'ln_f.bias' is [1], the model needs [2]"));
  WriteForeign(folder, "model.safetensors", {{"ln_f.bias", "I32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  EXPECT_THAT(std::string(ReadVector(folder, 1).status().message()), HasSubstr("is I32"));
  WriteForeign(folder, "model.safetensors", {{"ln_g.bias", "F32", {1}, 0, 4}},
               BytesOf(std::vector<float>{8}));
  EXPECT_THAT(std::string(ReadVector(folder, 1).status().message()),
              HasSubstr("has no tensor 'ln_f.bias'"));
}

TEST(Config, HuggingFacesOwnDefaultsAreUnderstood) {
  const std::string folder = FreshFolder();
  const auto read = [&](const std::string& text) {
    EXPECT_TRUE(WriteSmallFile(PosixDisk(), folder + "/config.json", text).ok());
    return ReadConfig(PosixDisk(), folder);
  };
  const std::string sizes =
      R"("n_layer":12,"n_head":12,"n_embd":768,"vocab_size":50257,"n_positions":1024)";
  const auto model = read("{" + sizes + R"(,"n_inner":null,"model_type":"gpt2"})");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->ffn(), 3072u);
  EXPECT_TRUE(model->tied());
  EXPECT_EQ(model->norm_eps(), 1e-5);
  EXPECT_EQ(read("{" + sizes + R"(,"activation_function":"relu"})").status().code(),
            absl::StatusCode::kInvalidArgument);
  for (const char* same : {R"("architectures":["GPT2LMHeadModel"])", R"("pruned_heads":{})",
                           R"("reorder_and_upcast_attn":true)", R"("auto_map":null)",
                           R"("scale_attn_weights":true)", R"("architectures":null)"}) {
    EXPECT_TRUE(read("{" + sizes + "," + same + "}").ok()) << same;
  }
  // Each would compute something else than is built in.
  for (const char* other :
       {R"("model_type":"gpt_neo")", R"("architectures":["GPTNeoForCausalLM"])",
        R"("architectures":"GPT2")", R"("architectures":[1])",
        R"("activation_function":"gelu_fast")", R"("scale_attn_weights":false)",
        R"("scale_attn_by_inverse_layer_idx":true)", R"("add_cross_attention":true)",
        R"("pruned_heads":{"1":[0]})", R"("quantization_config":{"bits":4})",
        R"("auto_map":{"AutoModel":"x.Y"})"}) {
    const absl::Status status = read("{" + sizes + "," + other + "}").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << other;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is supported")) << other;
  }
  EXPECT_EQ(read("{" + sizes + R"(,"n_layer":13})").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(read(R"({"n_layer":12})").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(read("[1").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(read("{" + sizes + R"(,"n_inner":"wide"})").status().code(),
            absl::StatusCode::kDataLoss);
}

// A file's sizes are no promise: they are refused before anything is made of that size.
TEST(Config, SizesOutOfBoundsAreRefusedByField) {
  ModelSpec model = OddJob("").model();
  model.set_layers(4294967295);
  EXPECT_THAT(std::string(BuildParameters(model).status().message()),
              HasSubstr("model.layers: 4294967295 must be at most 4096"));
  model = OddJob("").model();
  model.set_ffn(4294967295);
  EXPECT_THAT(std::string(BuildParameters(model).status().message()), HasSubstr("model.ffn"));
}

TEST(Initialise, DoesNotDependOnTheTiling) {
  Parameter p;
  p.rows = 13;
  p.cols = 7;  // odd rows: tiles begin in the middle of a pair
  p.two_dimensional = true;
  p.init_std = 0.02;
  Serial serial;
  std::vector<float> whole(p.rows * p.cols);
  InitialiseRows(p, 5, 42, {0, 13}, serial, whole.data());
  for (int64_t tile = 1; tile <= 13; ++tile) {
    std::vector<float> pieces(p.rows * p.cols);
    for (int64_t row = 0; row < 13; row += tile) {
      const RowSpan rows = {row, std::min(tile, 13 - row)};
      InitialiseRows(p, 5, 42, rows, serial, pieces.data() + row * 7);
    }
    EXPECT_EQ(pieces, whole) << tile;
  }
}

TEST(Initialise, HasTheStandardDeviationAskedFor) {
  Parameter p;
  p.rows = 1000;
  p.cols = 100;
  p.init_std = 0.02;
  Serial serial;
  std::vector<float> values(p.rows * p.cols), other(p.rows * p.cols);
  InitialiseRows(p, 1, 42, {0, p.rows}, serial, values.data());
  InitialiseRows(p, 2, 42, {0, p.rows}, serial, other.data());
  double sum = 0, squares = 0, product = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += values[i];
    squares += double{values[i]} * values[i];
    product += double{values[i]} * other[i];
  }
  const double n = static_cast<double>(values.size());
  // Five standard errors of each estimate.
  EXPECT_NEAR(sum / n, 0, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 5 * 0.02 / std::sqrt(2 * n));
  EXPECT_NEAR(product / n, 0, 5 * 0.02 * 0.02 / std::sqrt(n));
}

TEST(InitialCheckpoint, IsWhatTheJobWouldStartFrom) {
  const std::string root = FreshFolder();
  const JobSpec job = OddJob(root);
  Serial serial;
  const auto manifest = WriteInitialCheckpoint(PosixDisk(), job, root + "/init/", serial);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->steps_done, 0u);
  const CheckpointFormat format = FormatOf(job);
  const auto reader =
      CheckpointReader::Open(PosixDisk(), root + "/init", job.model(), format.parameters, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->Verify().ok());
  for (size_t i = 0; i < format.parameters.size(); ++i) {
    const Parameter& p = format.parameters[i];
    std::vector<float> read(p.rows * p.cols), expected(p.rows * p.cols);
    ASSERT_TRUE(reader->ReadWeights(static_cast<int>(i), {0, p.rows}, read.data()).ok());
    InitialiseRows(p, static_cast<int>(i), 3, {0, p.rows}, serial, expected.data());
    EXPECT_EQ(read, expected) << p.name;
  }
  EXPECT_EQ(WriteInitialCheckpoint(PosixDisk(), job, root + "/init", serial).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(*PosixDisk().List(root), testing::ElementsAre("init"));  // nothing half done
}

// Each writes a folder of its own, and one of them gets the name.
TEST(InitialCheckpoint, ManyAtOnceMakeOne) {
  const std::string root = FreshFolder();
  std::vector<std::thread> threads;
  std::vector<absl::Status> results(8);
  for (size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      JobSpec job = OddJob(root);
      job.mutable_training()->set_seed(i);
      Serial serial;
      results[i] = WriteInitialCheckpoint(PosixDisk(), job, root + "/init", serial).status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  int made = 0;
  for (const absl::Status& result : results) {
    made += result.ok();
    if (result.ok()) continue;
    EXPECT_EQ(result.code(), absl::StatusCode::kAlreadyExists) << result;
  }
  EXPECT_EQ(made, 1);
  EXPECT_THAT(*PosixDisk().List(root), testing::ElementsAre("init"));
  EXPECT_TRUE(InspectCheckpoint(PosixDisk(), root + "/init", Depth::kBytes).ok());
}

}  // namespace
}  // namespace waferstream
