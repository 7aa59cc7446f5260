// One model as other programs wrote it (tests/golden/make_formats.py), and what is wrong with files
// that only look like theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "absl/strings/match.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/config.h"
#include "checkpoint/export.h"
#include "checkpoint/import.h"
#include "checkpoint/memory_disk.h"
#include "checkpoint/open_model.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kFormats = "tests/golden/formats/";

std::string Contents(const std::string& path) {
  const auto text = ReadSmallFile(PosixDisk(), path, 1 << 20);
  EXPECT_TRUE(text.ok()) << text.status();
  return *text;
}

absl::StatusOr<Manifest> ImportGolden(const std::string& name, const std::string& to) {
  return ImportCheckpoint(PosixDisk(), kFormats + name, to);
}

TEST(FormatsTest, AllAreOneModel) {
  const std::string root = FreshFolder();
  const auto expected = ImportGolden("gpt2", root + "/gpt2");
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_FALSE(expected->job.model().exact_gelu());
  for (const std::string name :
       {"gpt2_sharded", "gpt2_torch", "gpt2_torch_sharded", "nanogpt.pt", "llmc_f32.bin"}) {
    const auto manifest = ImportGolden(name, root + "/" + name);
    ASSERT_TRUE(manifest.ok()) << manifest.status();
    EXPECT_EQ(manifest->weights_hash, expected->weights_hash) << name;
    ModelSpec model = manifest->job.model();
    EXPECT_EQ(model.exact_gelu(), name == "nanogpt.pt");
    model.set_exact_gelu(false);
    EXPECT_EQ(CheckSameModel(name, model, expected->job.model()), absl::OkStatus());
  }
  const auto rounded = ImportGolden("gpt2_bf16", root + "/bf16");
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  const auto llmc = ImportGolden("llmc_bf16.bin", root + "/llmc");
  ASSERT_TRUE(llmc.ok()) << llmc.status();
  EXPECT_EQ(llmc->weights_hash, rounded->weights_hash);
  EXPECT_NE(llmc->weights_hash, expected->weights_hash);
}

// The files of transformers' own save_pretrained.
TEST(FormatsTest, WhatTransformersWroteComesBackByteForByte) {
  const std::string root = FreshFolder();
  for (const auto& [name, dtype] :
       {std::pair("gpt2", StoredDtype::kF32), std::pair("gpt2_bf16", StoredDtype::kBf16)}) {
    const std::string own = absl::StrCat(root, "/", name), back = own + "-back";
    ASSERT_TRUE(ImportGolden(name, own).ok());
    ASSERT_TRUE(ExportCheckpoint(PosixDisk(), own, back, {.dtype = dtype}).ok());
    for (const char* file : {"/model.safetensors", "/generation_config.json"}) {
      EXPECT_EQ(Contents(back + file), Contents(kFormats + name + file)) << name << file;
    }
  }
}

TEST(FormatsTest, BiasesThatNanoGptHasNotAreZero) {
  const std::string path = kFormats + "nanogpt_no_bias.pt";
  const auto model = ReadModel(PosixDisk(), path);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<Parameter> parameters = *BuildParameters(*model);
  const auto without = CheckpointReader::Open(PosixDisk(), path, *model, parameters, {});
  const auto with =
      CheckpointReader::Open(PosixDisk(), kFormats + "nanogpt.pt", *model, parameters, {});
  ASSERT_TRUE(without.ok() && with.ok()) << without.status() << with.status();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    const int index = static_cast<int>(i);
    std::vector<float> values(p.rows * p.cols, 7), expected(p.rows * p.cols);
    ASSERT_TRUE(without->ReadWeights(index, {0, p.rows}, values.data()).ok());
    ASSERT_TRUE(with->ReadWeights(index, {0, p.rows}, expected.data()).ok());
    if (absl::EndsWith(p.name, ".bias")) std::fill(expected.begin(), expected.end(), 0);
    EXPECT_EQ(values, expected) << p.name;
  }
}

// A file in memory, as others would have it.
class ForgedTest : public testing::Test {
 protected:
  absl::Status Try(const std::string& path, const std::string& bytes) {
    MemoryDisk tree(1);
    MemoryDisk::View disk(tree);
    RETURN_IF_ERROR(disk.CreateFolder("/hf"));
    RETURN_IF_ERROR(
        WriteSmallFile(disk, "/hf/config.json", Contents(kFormats + "gpt2/config.json")));
    RETURN_IF_ERROR(WriteSmallFile(disk, path, bytes));
    const std::string from = absl::StartsWith(path, "/hf/") ? "/hf" : path;
    const absl::Status status = ImportCheckpoint(disk, from, "/own").status();
    EXPECT_EQ(disk.Exists("/own"), status.ok());
    EXPECT_EQ(disk.List("/")->size(), 1u + (from != "/hf") + status.ok());
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
    return status;
  }
  void ExpectRefused(const std::string& path, const std::string& bytes, const std::string& why) {
    const absl::Status status = Try(path, bytes);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  }
};

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(from.size(), to.size());
  return text.replace(at, from.size(), to);
}

// But for the zip's last record, which says nothing that the one before it does not.
TEST_F(ForgedTest, CutOffAnywhereItIsRefused) {
  constexpr size_t kLastRecordBytes = 22;
  const struct {
    const char* path;
    const char* golden;
  } files[] = {{"/hf/pytorch_model.bin", "gpt2_torch/pytorch_model.bin"},
               {"/ckpt.pt", "nanogpt.pt"},
               {"/gpt2.bin", "llmc_f32.bin"}};
  for (const auto& [path, golden] : files) {
    const std::string bytes = Contents(kFormats + golden);
    ASSERT_TRUE(Try(path, bytes).ok());
    for (size_t n = 0; n + kLastRecordBytes < bytes.size(); n += 7) {
      EXPECT_FALSE(Try(path, bytes.substr(0, n)).ok()) << golden << " " << n;
    }
  }
}

// Whatever a byte is changed to: refused, or read; in a tensor it is another number.
TEST_F(ForgedTest, NoByteMakesItFall) {
  const std::string bytes = Contents(kFormats + "gpt2_torch/pytorch_model.bin");
  int refused = 0;
  for (size_t i = 0; i < bytes.size(); i += 7) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ (1 << i % 8));
    refused += !Try("/hf/pytorch_model.bin", changed).ok();
  }
  EXPECT_GT(refused, 100);
}

TEST_F(ForgedTest, APickleIsNotRun) {
  const std::string path = "/hf/pytorch_model.bin";
  const std::string good = Contents(kFormats + "gpt2_torch/pytorch_model.bin");
  const std::string ordered = "ccollections\nOrderedDict\n";
  ExpectRefused(path, Replaced(good, ordered, "cposix\nsystem\n(NK\x01K\x02K\x03K\x04t"),
                "names 'posix.system'");
  ExpectRefused(path,
                Replaced(good,
                         "c"
                         "torch\nFloatStorage\n",
                         "c"
                         "torch\nFloatStorag2\n"),
                "names 'torch.FloatStorag2'");
  ExpectRefused(
      path, Replaced(good, "torch._utils\n_rebuild_tensor_v2", "torch._utils\n_rebuild_tensor_v3"),
      "names 'torch._utils._rebuild_tensor_v3'");
}

TEST_F(ForgedTest, WhatIsNoFileOfTheirs) {
  ExpectRefused("/hf/pytorch_model.bin", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.",
                "or one of a PyTorch before 1.6");
  ExpectRefused("/ckpt.pt", "not a model", "neither nanoGPT's checkpoint nor llm.c's model file");
  ExpectRefused("/ckpt.pt", Contents(kFormats + "gpt2_torch/pytorch_model.bin"),
                "has no model and model_args");
  ExpectRefused("/hf/pytorch_model.bin", Contents(kFormats + "nanogpt.pt"),
                "'model' is a dictionary, not a tensor");
}

TEST_F(ForgedTest, NanoGptsShape) {
  const std::string good = Contents(kFormats + "nanogpt.pt");
  ExpectRefused("/ckpt.pt", Replaced(good, "dropout", "rmsnorm"),
                "model_args: rmsnorm is nothing that nanoGPT's own model has");
  ExpectRefused("/ckpt.pt", Replaced(good, "block_size", "block_six_"), "model_args: block_six");
  const std::string wte = "_orig_mod.transformer.wte.weight";
  ExpectRefused("/ckpt.pt", Replaced(good, wte, "_orig_mod.transformer.wtf.weight"),
                "has no tensor 'wte.weight'");
  const size_t at = good.find("n_layer");
  ASSERT_NE(at, std::string::npos);
  const size_t value = good.find('K', at);
  std::string deeper = good;
  deeper[value + 1] = 3;
  ExpectRefused("/ckpt.pt", deeper, "has no tensor 'h.2.ln_1.weight'");
  std::string shallower = good;
  shallower[value + 1] = 1;
  ExpectRefused("/ckpt.pt", shallower, "is none of the model's parameters");
}

TEST_F(ForgedTest, LlmCsHeader) {
  const std::string good = Contents(kFormats + "llmc_f32.bin");
  const auto with = [&](int word, int32_t value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + 4 * word, &value, sizeof(value));
    return bytes;
  };
  const std::string path = "/gpt2.bin";
  ExpectRefused(path, with(0, 20240520), "neither nanoGPT's checkpoint nor llm.c's model file");
  ExpectRefused(path, with(1, 1), "is of version 1 of llm.c's model files; 3 and 5 are read");
  ExpectRefused(path, with(2, -1), "has a size of -1");
  ExpectRefused(path, with(3, 17), "has 16 rows for 17 tokens");
  ExpectRefused(path, with(4, 1 << 30), "model.layers: 1073741824 must be at most 4096");
  ExpectRefused(path, with(5, 4), "model.hidden: 6 is not divisible by model.heads: 4");
  ExpectRefused(path, with(4, 4096), "bytes, its header asks for ");
  ExpectRefused(path, with(7, 1 << 30), "rows for 11 tokens");
  ExpectRefused(path, good + "x", "bytes, its header asks for ");
}

TEST_F(ForgedTest, NumbersThatAreNone) {
  std::string bytes = Contents(kFormats + "llmc_f32.bin");
  const uint32_t nan = 0x7fc00000;
  std::memcpy(bytes.data() + bytes.size() - 4, &nan, 4);
  const absl::Status status = Try("/gpt2.bin", bytes);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("/gpt2.bin: tensor 'transformer.ln_f.bias' holds nan in row 5"));
}

}  // namespace
}  // namespace waferstream
