#include "checkpoint/model_files.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/memory_disk.h"

namespace waferstream {
namespace {

using Names = std::vector<std::string>;
using absl::StatusCode;

constexpr char kIndex[] = "model.safetensors.index.json";
constexpr char kTwoShards[] = R"({"metadata": {"total_size": 8}, "weight_map": {
    "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})";

// A folder with these files; `index` is the index's text.
absl::StatusOr<ModelFiles> Find(const Names& files, const std::string& index = kTwoShards) {
  MemoryDisk tree(0);
  MemoryDisk::View disk(tree);
  EXPECT_TRUE(disk.CreateFolder("/hf").ok());
  for (const std::string& name : files) {
    EXPECT_TRUE(WriteSmallFile(disk, absl::StrCat("/hf/", name), name == kIndex ? index : "").ok());
  }
  return FindModelFiles(disk, "/hf");
}

void ExpectRefused(const absl::StatusOr<ModelFiles>& found, StatusCode code,
                   const std::string& why) {
  EXPECT_EQ(found.status().code(), code) << found.status();
  EXPECT_TRUE(absl::StrContains(found.status().message(), why)) << found.status();
  EXPECT_TRUE(absl::StrContains(found.status().message(), "/hf")) << found.status();
  EXPECT_FALSE(absl::StrContains(found.status().message(), "\n")) << found.status();
}

TEST(ModelFilesTest, OneFileIsTheModelWhateverLiesBesideIt) {
  const auto found = Find({"model.safetensors", "model.fp16.safetensors", "model-ema.safetensors",
                           "model-00001-of-00002.safetensors", kIndex, "pytorch_model.bin",
                           "adapter_model.safetensors", "optimizer.safetensors"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->names, Names{"model.safetensors"});
  EXPECT_TRUE(found->places.empty());
}

TEST(ModelFilesTest, AnIndexNamesTheShards) {
  const auto found = Find({kIndex, "model-00001-of-00002.safetensors", "model.fp16.safetensors",
                           "model-00002-of-00002.safetensors", "model-00001-of-00003.safetensors"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->names,
            (Names{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}));
  EXPECT_EQ(found->places.at("b"), "model-00002-of-00002.safetensors");
}

TEST(ModelFilesTest, ACompleteSetNeedsNoIndex) {
  const auto found = Find({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->names.size(), 2u);
}

TEST(ModelFilesTest, AShardThatTheIndexNamesIsMissing) {
  ExpectRefused(Find({kIndex, "model-00001-of-00002.safetensors"}), StatusCode::kDataLoss,
                "names model-00002-of-00002.safetensors, which is not there");
}

TEST(ModelFilesTest, ADamagedIndexIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is not JSON"},
      {"{", "is not JSON"},
      {"[]", "has no weight_map"},
      {"{}", "has no weight_map"},
      {R"({"weight_map": {}})", "has no weight_map"},
      {R"({"weight_map": ["a"]})", "has no weight_map"},
      {R"({"weight_map": {"a": 1}})", "\"a\" has no file"},
      {R"({"weight_map": {"a": "x.bin"}})", "\"x.bin\" is not a safetensors file"},
      {R"({"weight_map": {"a": "../x.safetensors"}})", "must be a name and no path"},
      {R"({"weight_map": {"a": "/etc/x.safetensors"}})", "must be a name and no path"},
      {R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})",
       "has the name \"a\" twice"},
      {R"({"weight_map": {}, "weight_map": {"a": "x.safetensors"}})", "twice"},
  };
  for (const auto& [index, why] : cases) {
    ExpectRefused(Find({kIndex, "x.safetensors", "y.safetensors"}, index), StatusCode::kDataLoss,
                  why);
  }
}

TEST(ModelFilesTest, NothingIsGuessed) {
  const std::pair<Names, const char*> cases[] = {
      {{}, "has no model.safetensors"},
      {{"model.fp16.safetensors"}, "to choose among model.fp16.safetensors"},
      {{"model-a.safetensors", "model-b.safetensors"},
       "to choose among model-a.safetensors, model-b.safetensors"},
      {{"model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"}, "to choose among"},
      {{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.fp16.safetensors"},
       "to choose among"},
      {{"pytorch_model-00001-of-00001.bin"}, "has no model.safetensors and no pytorch_model.bin"},
      {{"pytorch_model.fp16.bin"}, "has no model.safetensors and no pytorch_model.bin"},
      {{"model.fp16.safetensors", "pytorch_model.bin"}, "to choose among model.fp16.safetensors"},
  };
  for (const auto& [files, why] : cases) ExpectRefused(Find(files), StatusCode::kNotFound, why);
}

}  // namespace
}  // namespace waferstream
