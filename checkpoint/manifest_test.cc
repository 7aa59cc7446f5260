#include "checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "checkpoint/memory_disk.h"
#include "checkpoint/safetensors.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::json;

std::string HashOf(const std::string& bytes) {
  Hash128 hash;
  hash.Update(bytes.data(), bytes.size());
  return hash.Hex();
}

Manifest Good() {
  Manifest manifest;
  manifest.steps_done = 12;
  manifest.loss = 0.1;
  manifest.written_by = {"j-000012-ab", 3};
  manifest.ancestors = {"j-000009-cd", "j-000002-ef"};
  manifest.weights_hash = std::string(32, 'a');
  manifest.optimizer_hash = std::string(32, 'b');
  manifest.files["model.safetensors"] = {uint64_t{1} << 40, std::string(32, 'c')};
  manifest.files["config.json"] = {17, std::string(32, 'd')};
  manifest.kernel_isa = "avx2";
  manifest.build = "1.2.3";
  manifest.numerics = 3;
  manifest.job = TestJob();
  return manifest;
}

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() { EXPECT_TRUE(disk_.CreateFolder("/step").ok()); }

  absl::StatusOr<Manifest> ReadText(const std::string& text) {
    EXPECT_TRUE(WriteSmallFile(disk_, "/step/waferstream.json", text).ok());
    return ReadManifest(disk_, "/step");
  }
  // The good one, changed.
  absl::StatusOr<Manifest> Read(const std::function<void(Json&)>& change) {
    Json json = Json::parse(ManifestJson(Good()));
    change(json);
    return ReadText(json.dump());
  }
  void ExpectDamaged(const std::function<void(Json&)>& change, const std::string& why) {
    const absl::Status status = Read(change).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << why;
    EXPECT_EQ(status.message(), "/step/waferstream.json " + why);
  }

  MemoryDisk tree_{1};
  MemoryDisk::View disk_{tree_};
};

TEST_F(ManifestTest, SaysAgainAllThatWasSaid) {
  const auto read = ReadText(ManifestJson(Good()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->steps_done, 12u);
  EXPECT_EQ(read->loss, 0.1);
  EXPECT_EQ(read->written_by, (WriterEpoch{"j-000012-ab", 3}));
  EXPECT_THAT(read->ancestors, ElementsAre("j-000009-cd", "j-000002-ef"));
  EXPECT_EQ(read->weights_hash, std::string(32, 'a'));
  EXPECT_EQ(read->optimizer_hash, std::string(32, 'b'));
  ASSERT_EQ(read->files.size(), 2u);
  EXPECT_EQ(read->files.at("model.safetensors").bytes, uint64_t{1} << 40);
  EXPECT_EQ(read->files.at("config.json").hash, std::string(32, 'd'));
  EXPECT_EQ(read->kernel_isa, "avx2");
  EXPECT_EQ(read->build, "1.2.3");
  EXPECT_EQ(read->numerics, 3u);
  EXPECT_EQ(read->job.SerializeAsString(), TestJob().SerializeAsString());
}

TEST_F(ManifestTest, AFolderWithoutOneIsNotSealed) {
  EXPECT_EQ(ReadManifest(disk_, "/step").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ManifestTest, EveryFieldThatIsMissingOrOfAnotherKindIsNamed) {
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"format", "has another format version"},
      {"steps_done", "has no steps_done"},
      {"weights_hash", "has no weights_hash"},
      {"optimizer_hash", "has no optimizer_hash"},
      {"files", "has no files"}};
  for (const auto& [field, why] : fields) {
    ExpectDamaged([&](Json& json) { json.erase(field); }, why);
    for (const Json& other : {Json(nullptr), Json(-1), Json("x"), Json::array()}) {
      ExpectDamaged([&](Json& json) { json[field] = other; }, why);
    }
  }
  ExpectDamaged([](Json& json) { json["format"] = 2; }, "has another format version");
  ExpectDamaged([](Json& json) { json["steps_done"] = 1.5; }, "has no steps_done");
  for (const size_t digits : {31, 33}) {
    ExpectDamaged([&](Json& json) { json["weights_hash"] = std::string(digits, 'a'); },
                  "has no weights_hash");
  }
  ExpectDamaged([](Json& json) { json = Json::array({1}); }, "is not a JSON object");
  for (const Json& other : {Json(nullptr), Json(-1), Json("1"), Json(uint64_t{1} << 32)}) {
    ExpectDamaged([&](Json& json) { json["numerics"] = other; }, "has malformed numerics");
  }
}

TEST_F(ManifestTest, AFilesMalformedEntryIsNamed) {
  const std::string why = "has a malformed entry for config.json";
  ExpectDamaged([](Json& json) { json["files"]["config.json"] = 3; }, why);
  ExpectDamaged([](Json& json) { json["files"]["config.json"].erase("bytes"); }, why);
  ExpectDamaged([](Json& json) { json["files"]["config.json"]["bytes"] = -5; }, why);
  ExpectDamaged([](Json& json) { json["files"]["config.json"].erase("xxh3_128"); }, why);
  ExpectDamaged([](Json& json) { json["files"]["config.json"]["xxh3_128"] = "ab"; }, why);
}

TEST_F(ManifestTest, AMalformedWriterIsRefused) {
  const std::string why = "has a malformed written_by";
  for (const char* field : {"job", "epoch", "ancestors"}) {
    ExpectDamaged([&](Json& json) { json["written_by"].erase(field); }, why);
  }
  ExpectDamaged([](Json& json) { json["written_by"]["epoch"] = -1; }, why);
  ExpectDamaged([](Json& json) { json["written_by"]["ancestors"] = {"a", 2}; }, why);
}

TEST_F(ManifestTest, AMalformedJobIsRefusedAndANewersOneIsNot) {
  ExpectDamaged([](Json& json) { json["job"]["training"]["steps"] = "many"; },
                "has a malformed job");
  ExpectDamaged([](Json& json) { json["job"] = 3; }, "has a malformed job");
  const auto newer = Read([](Json& json) { json["job"]["training"]["surprise"] = 1; });
  ASSERT_TRUE(newer.ok()) << newer.status();
  EXPECT_EQ(newer->job.training().steps(), TestJob().training().steps());
}

TEST_F(ManifestTest, TextThatIsNoJsonIsRefused) {
  for (const char* text : {"", "{", "{}x", "{\"format\": 1, \"format\": 1}"}) {
    EXPECT_EQ(ReadText(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

TEST_F(ManifestTest, ALossThatIsNoNumberSurvives) {
  Manifest manifest = Good();
  manifest.loss = std::nan("");
  const auto read = ReadText(ManifestJson(manifest));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(std::isnan(read->loss));
}

TEST_F(ManifestTest, WhatOlderVersionsDidNotWriteIsNotKnown) {
  const auto read = Read([](Json& json) {
    json.erase("kernel_isa");
    json.erase("numerics");
    json["build"] = nullptr;
    json["written_by"] = nullptr;
  });
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->kernel_isa, "");
  EXPECT_EQ(read->build, "");
  EXPECT_EQ(read->numerics, 1u) << "as it was then";
  EXPECT_EQ(read->written_by, WriterEpoch());
  for (const auto& [name, writer] : std::vector<std::pair<std::string, WriterEpoch>>{
           {"j-1-e-e12", {"j-1-e", 12}}, {"j-1", {}}, {"j-1-e", {}}, {"j-1-e1x", {}}}) {
    const auto old = Read([&](Json& json) { json["written_by"] = name; });
    ASSERT_TRUE(old.ok()) << name;
    EXPECT_EQ(old->written_by, writer) << name;
  }
}

TEST_F(ManifestTest, AWriterIsOneNameOfAFolder) {
  EXPECT_EQ((WriterEpoch{"a/../b", 3}).Name(), "a_.._b-e3");
}

TEST_F(ManifestTest, ADigestIsOfTheWholeFileAndOfItsTensors) {
  std::vector<TensorInfo> tensors = {{"a", "U8", {3}, 0, 3}, {"b", "U8", {2}, 0, 2}};
  const std::string header = LayOutTensors(tensors);
  ASSERT_TRUE(WriteSmallFile(disk_, "/t", header + "abcde").ok());
  const auto digest = DigestTensorFile(disk_, "/t");
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(digest->file.bytes, header.size() + 5);
  EXPECT_EQ(digest->file.hash, HashOf(header + "abcde"));
  EXPECT_EQ(digest->data_hash, HashOf("abcde"));
  EXPECT_EQ(DigestFile(disk_, "/t")->hash, digest->file.hash);
}

TEST_F(ManifestTest, AFileWithoutTensorsHasNoBytesOfThem) {
  std::vector<TensorInfo> none;
  const std::string header = LayOutTensors(none);
  ASSERT_TRUE(WriteSmallFile(disk_, "/t", header).ok());
  EXPECT_EQ(DigestTensorFile(disk_, "/t")->data_hash, HashOf(""));
  EXPECT_EQ(DigestTensorFile(disk_, "/t")->file.hash, HashOf(header));
}

// Read in pieces of 4 MiB.
TEST_F(ManifestTest, ALargeFileIsReadToItsEnd) {
  std::string bytes((size_t{8} << 20) + 5, 'x');
  bytes[bytes.size() - 1] = 'y';
  bytes[size_t{4} << 20] = 'z';
  ASSERT_TRUE(WriteSmallFile(disk_, "/large", bytes).ok());
  const auto digest = DigestFile(disk_, "/large");
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(digest->bytes, bytes.size());
  EXPECT_EQ(digest->hash, HashOf(bytes));
  ASSERT_TRUE(WriteSmallFile(disk_, "/empty", "").ok());
  EXPECT_EQ(DigestFile(disk_, "/empty")->hash, HashOf(""));
  EXPECT_EQ(DigestFile(disk_, "/none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace waferstream
