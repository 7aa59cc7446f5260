// Writing, sealing, listing and reading back, across the library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/folder.h"
#include "checkpoint/seal.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

const WriterEpoch kEpoch = {"job", 3};

absl::StatusOr<CheckpointEntry> WriteAndSeal(const JobSpec& job, uint64_t steps_done,
                                             int salt = 0) {
  RETURN_IF_ERROR(BeginTestEpoch(PosixDisk(), job.checkpoint().dir(), kEpoch));
  return WriteAndSeal(PosixDisk(), job, steps_done, kEpoch, salt);
}

absl::StatusOr<CheckpointReader> OpenAll(const JobSpec& job, const std::string& folder) {
  return OpenAll(PosixDisk(), job, folder);
}

std::vector<uint64_t> StepsIn(const std::string& dir) {
  std::vector<uint64_t> steps;
  const auto listed = ListCheckpoints(PosixDisk(), dir);
  for (const CheckpointEntry& entry : *listed) {
    steps.push_back(entry.manifest.steps_done);
  }
  return steps;
}

class RoundTrip : public testing::TestWithParam<std::tuple<bool, int>> {};

TEST_P(RoundTrip, AnyTilingReadsWhatAnyTilingWrote) {
  const auto [tied, tile_elements] = GetParam();
  const JobSpec job = OddJob(FreshFolder(), tied);
  const CheckpointFormat format = FormatOf(job);
  const auto sealed = WriteAndSeal(job, 7);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  const auto reader = OpenAll(job, sealed->path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->Verify().ok());
  std::vector<Parameter> parameters = format.parameters;
  for (const Tile& tile : CutTiles(parameters, tile_elements)) {
    const Parameter& shape = parameters[tile.parameter];
    const RowSpan rows = {tile.first_row, tile.rows};
    std::vector<float> values(tile.elements);
    ASSERT_TRUE(reader->ReadWeights(tile.parameter, rows, values.data()).ok());
    EXPECT_EQ(values, TestRows(0, tile.parameter, shape, rows)) << shape.name;
    for (int state = 0; state < 2; ++state) {
      auto* const bytes = reinterpret_cast<std::byte*>(values.data());
      ASSERT_TRUE(reader->ReadState(tile.parameter, state, rows, bytes).ok());
      EXPECT_EQ(values, TestRows(1 + state, tile.parameter, shape, rows)) << shape.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RoundTrip,
                         testing::Combine(testing::Bool(), testing::Values(1, 30, 64, 100000)));

// A matrix, stored transposed, of which an optimizer keeps moments in bf16 and sums of rows and of
// columns; and one of which it keeps nothing.
CheckpointFormat OddFormat() {
  CheckpointFormat format = FormatOf(OddJob(""));
  for (size_t p = 0; p < format.parameters.size(); ++p) {
    format.states[p].clear();
    if (format.parameters[p].name != "h.1.mlp.c_fc.weight") continue;
    format.states[p] = {{.name = "m", .dtype = Dtype::kBf16},
                        {.name = "rows", .per_column = false},
                        {.name = "columns", .per_row = false}};
  }
  CutTiles(format.parameters, 64);
  return format;
}

// Bytes of a tile's array, told apart by tile and array.
std::vector<std::byte> OddBytes(const OptimizerState& state, const Tile& tile) {
  std::vector<std::byte> bytes(ElementsOf(state, tile) * BytesOf(state.dtype));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>((7 * i + 13 * tile.first_row + state.name.size()) % 61 + 1);
  }
  return bytes;
}

TEST(Checkpoint, KeepsStatesAsTheyAreDescribed) {
  const JobSpec job = OddJob(FreshFolder());
  CheckpointFormat format = OddFormat();
  const std::string folder = job.checkpoint().dir() + "/odd";
  std::vector<Parameter> parameters = format.parameters;
  const std::vector<Tile> tiles = CutTiles(parameters, 64);
  auto writer = CheckpointWriter::Open(PosixDisk(), format, folder);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const Tile& tile : tiles) {
    const std::vector<float> weights(tile.elements, 1);
    std::vector<std::vector<std::byte>> arrays;
    std::vector<std::byte*> states;
    for (const auto& state : format.states[tile.parameter]) arrays.push_back(OddBytes(state, tile));
    for (auto& array : arrays) states.push_back(array.data());
    ASSERT_TRUE(writer->Write(tile, weights.data(), states).ok());
  }
  ASSERT_TRUE(writer->Finish().ok());
  Manifest manifest;
  manifest.job = job;
  std::vector<std::string> notes;
  ASSERT_TRUE(CompleteFolder(PosixDisk(), format, folder, manifest, notes).ok());
  const std::string header = FileLayout::OfOptimizer(format.parameters, format.states).header();
  // In order of name.
  EXPECT_THAT(header, HasSubstr(R"([0,160],"dtype":"F32","shape":[4,10])"));      // columns
  EXPECT_THAT(header, HasSubstr(R"([160,620],"dtype":"BF16","shape":[10,23])"));  // m
  EXPECT_THAT(header, HasSubstr(R"([620,712],"dtype":"F32","shape":[23])"));      // rows
  const auto reader =
      CheckpointReader::Open(PosixDisk(), folder, job.model(), format.parameters, format.states);
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (const Tile& tile : tiles) {
    const std::vector<OptimizerState>& states = format.states[tile.parameter];
    for (size_t s = 0; s < states.size(); ++s) {
      std::vector<std::byte> bytes(OddBytes(states[s], tile).size());
      ASSERT_TRUE(reader
                      ->ReadState(tile.parameter, static_cast<int>(s), RowsOf(states[s], tile),
                                  bytes.data())
                      .ok());
      EXPECT_EQ(bytes, OddBytes(states[s], tile)) << states[s].name << " " << tile.index;
    }
  }
}

TEST(Checkpoint, TransposesWhatHuggingFaceKeepsTransposed) {
  const JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  const CheckpointFormat format = FormatOf(job);
  const FileLayout layout = FileLayout::OfModel(format.parameters);
  const std::string bytes = Slurp(sealed->path + "/model.safetensors");
  for (size_t p = 0; p < format.parameters.size(); ++p) {
    const Parameter& shape = format.parameters[p];
    if (shape.name != "h.1.mlp.c_fc.weight") continue;
    ASSERT_THAT(layout.Of(p).shape, ElementsAre(10, 23));  // [in, out]
    float value;
    const int64_t in = 4, out = 17;
    std::memcpy(&value, bytes.data() + layout.Of(p).offset + (in * 23 + out) * 4, 4);
    EXPECT_EQ(value, TestValue(0, static_cast<int>(p), out * 10 + in));
    return;
  }
  FAIL() << "no such parameter";
}

TEST(Checkpoint, ManyWritersMakeTheSameFilesAsOne) {
  const std::string root = FreshFolder();
  const JobSpec job = OddJob(root);
  const CheckpointFormat format = FormatOf(job);
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), format, root + "/one", 40).ok());
  for (const int part : {2, 0, 1}) {
    ASSERT_TRUE(WriteTestTiles(PosixDisk(), format, root + "/many", 40, part, 3).ok());
  }
  for (const char* name : {kModelFile, kOptimizerFile}) {
    const std::string one = Slurp(root + "/one/" + name);
    EXPECT_FALSE(one.empty());
    EXPECT_EQ(one, Slurp(root + "/many/" + name)) << name;
  }
}

TEST(Checkpoint, HashesAreOfTheTensorBytesInOrderOfName) {
  const JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  for (const auto& [name, hash] : {std::pair(kModelFile, sealed->manifest.weights_hash),
                                   std::pair(kOptimizerFile, sealed->manifest.optimizer_hash)}) {
    const std::string path = absl::StrCat(sealed->path, "/", name);
    const auto file = PosixDisk().OpenForReading(path);
    auto tensors = ReadTensorTable(**file);
    ASSERT_TRUE(tensors.ok());
    std::sort(tensors->begin(), tensors->end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    const std::string bytes = Slurp(path);
    Hash128 expected;
    for (const TensorInfo& t : *tensors) expected.Update(bytes.data() + t.offset, t.bytes);
    EXPECT_EQ(hash, expected.Hex()) << name;
  }
}

TEST(Checkpoint, WithoutOptimizerStateTheHashIsOfNoBytes) {
  JobSpec job = OddJob(FreshFolder());
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(0.1);
  const auto sealed = WriteAndSeal(job, 1);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_EQ(sealed->manifest.optimizer_hash, Hash128().Hex());
  EXPECT_FALSE(fs::exists(sealed->path + "/optimizer.safetensors"));
  EXPECT_TRUE(OpenAll(job, sealed->path).ok());
}

TEST(Checkpoint, ManifestSurvivesTheFile) {
  const JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1234567);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_THAT(sealed->path, testing::EndsWith("/step-1234567"));
  const auto read = ReadManifest(PosixDisk(), sealed->path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ManifestJson(*read), ManifestJson(sealed->manifest));
  EXPECT_EQ(read->job.SerializeAsString(), job.SerializeAsString());
  EXPECT_EQ(read->loss, 2.5);
}

// Every byte of every file matters: flip some of each and see that it is noticed.
TEST(Checkpoint, VerifyFindsAFlippedBitAnywhere) {
  const JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  for (const auto& [name, digest] : sealed->manifest.files) {
    const std::string path = sealed->path + "/" + name;
    const std::string good = Slurp(path);
    ASSERT_EQ(good.size(), digest.bytes);
    for (size_t at = 0; at < good.size(); at += 1 + good.size() / 97) {
      std::string bad = good;
      bad[at] ^= 4;
      ASSERT_TRUE(WriteSmallFile(PosixDisk(), path, bad).ok());
      const auto reader = OpenAll(job, sealed->path);
      const absl::Status status = reader.ok() ? reader->Verify() : reader.status();
      EXPECT_FALSE(status.ok()) << name << " byte " << at;
      EXPECT_THAT(std::string(status.message()), HasSubstr(sealed->path));
    }
    ASSERT_TRUE(WriteSmallFile(PosixDisk(), path, good).ok());
  }
  EXPECT_TRUE(OpenAll(job, sealed->path)->Verify().ok());
}

TEST(Checkpoint, AFileCutShortAnywhereIsRefused) {
  const JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  for (const char* name : {kModelFile, kOptimizerFile, kConfigFile, kManifestFile}) {
    const std::string path = absl::StrCat(sealed->path, "/", name);
    const std::string good = Slurp(path);
    for (size_t bytes = 0; bytes + 2 < good.size(); bytes += 1 + good.size() / 61) {
      ASSERT_TRUE(WriteSmallFile(PosixDisk(), path, good.substr(0, bytes)).ok());
      const auto reader = OpenAll(job, sealed->path);
      EXPECT_FALSE(reader.ok()) << name << " of " << bytes << " bytes";
      EXPECT_THAT(std::string(reader.status().message()), HasSubstr(name));
    }
    ASSERT_TRUE(WriteSmallFile(PosixDisk(), path, good).ok());
  }
}

TEST(Checkpoint, SealRefusesFilesOfAnotherLayout) {
  const JobSpec job = OddJob(FreshFolder());
  ASSERT_TRUE(BeginTestEpoch(PosixDisk(), job.checkpoint().dir(), kEpoch).ok());
  const std::string partial = PartialOf(job, 3, kEpoch);
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job), partial, 64).ok());
  fs::resize_file(partial + "/model.safetensors", 1000);
  const auto sealed = SealStep(PosixDisk(), job, 3, kEpoch);
  EXPECT_EQ(sealed.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(StepsIn(job.checkpoint().dir()), ElementsAre());
}

TEST(Checkpoint, WhatWasNeverSealedIsNeverListed) {
  const JobSpec job = OddJob(FreshFolder());
  const std::string& dir = job.checkpoint().dir();
  ASSERT_TRUE(WriteAndSeal(job, 2).ok());
  // A crash while tiles are written, and one after the manifest but before the rename.
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job), PartialOf(job, 4, kEpoch), 64, 0, 2).ok());
  fs::copy(StepFolder(dir, 2), PartialOf(job, 3, kEpoch));
  EXPECT_THAT(StepsIn(dir), ElementsAre(2));
  ASSERT_TRUE(RemovePartialFolders(PosixDisk(), dir, kEpoch).ok());
  EXPECT_FALSE(fs::exists(EpochFolder(dir, kEpoch)));
  EXPECT_THAT(StepsIn(dir), ElementsAre(2));
}

TEST(Checkpoint, LeftoversInTheFilesDoNotReachTheCheckpoint) {
  const JobSpec job = OddJob(FreshFolder());
  ASSERT_TRUE(BeginTestEpoch(PosixDisk(), job.checkpoint().dir(), kEpoch).ok());
  const std::string partial = PartialOf(job, 5, kEpoch);
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job), partial, 64, 0, 1, /*salt=*/9).ok());
  fs::resize_file(partial + "/model.safetensors", 1 << 20);
  const auto sealed = WriteAndSeal(PosixDisk(), job, 5, kEpoch);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  const auto elsewhere = WriteAndSeal(OddJob(FreshFolder() + "/clean"), 5);
  ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
  EXPECT_EQ(sealed->manifest.weights_hash, elsewhere->manifest.weights_hash);
  EXPECT_EQ(sealed->manifest.optimizer_hash, elsewhere->manifest.optimizer_hash);
}

TEST(Checkpoint, SealingTwiceAnswersTheSame) {
  const JobSpec job = OddJob(FreshFolder());
  const auto first = WriteAndSeal(job, 2);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = SealStep(PosixDisk(), job, 2, kEpoch);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->path, first->path);
  EXPECT_EQ(ManifestJson(second->manifest), ManifestJson(first->manifest));
  EXPECT_EQ(SealStep(PosixDisk(), job, 3, kEpoch).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Checkpoint, ANewCheckpointOfTheSameStepReplacesTheOldOne) {
  const JobSpec job = OddJob(FreshFolder());
  const auto old = WriteAndSeal(job, 2, /*salt=*/1);
  const auto fresh = WriteAndSeal(job, 2, /*salt=*/0);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_NE(old->manifest.weights_hash, fresh->manifest.weights_hash);
  EXPECT_EQ(ReadManifest(PosixDisk(), fresh->path)->weights_hash, fresh->manifest.weights_hash);
  EXPECT_FALSE(fs::exists(PartialOf(job, 2, kEpoch)));
}

TEST(Checkpoint, PruneKeepsTheNewestTheStartAndOtherRuns) {
  JobSpec job = OddJob(FreshFolder());  // keeps 2
  const std::string& dir = job.checkpoint().dir();
  job.mutable_checkpoint()->set_from(StepFolder(dir, 1));
  for (const uint64_t steps : {1, 90, 2, 3}) ASSERT_TRUE(WriteAndSeal(job, steps).ok());
  EXPECT_THAT(StepsIn(dir), ElementsAre(1, 2, 3, 90));
  ASSERT_TRUE(WriteAndSeal(job, 10).ok());
  EXPECT_THAT(StepsIn(dir), ElementsAre(1, 3, 10, 90));
}

// The answer to a seal may be lost; the controller then goes back to the one it knows.
TEST(Checkpoint, PruneKeepsTheOneOnRecord) {
  JobSpec job = OddJob(FreshFolder());
  job.mutable_checkpoint()->set_keep(1);
  const std::string& dir = job.checkpoint().dir();
  ASSERT_TRUE(WriteAndSeal(job, 1).ok());
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job), PartialOf(job, 2, kEpoch), 64).ok());
  ASSERT_TRUE(SealStep(PosixDisk(), job, 2, kEpoch, /*staying=*/{1}).ok());
  EXPECT_THAT(StepsIn(dir), ElementsAre(1, 2));
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job), PartialOf(job, 3, kEpoch), 64).ok());
  ASSERT_TRUE(SealStep(PosixDisk(), job, 3, kEpoch, /*staying=*/{2}).ok());
  EXPECT_THAT(StepsIn(dir), ElementsAre(2, 3));
}

TEST(Checkpoint, PruneKeepsTheBestBesideTheNewest) {
  JobSpec job = OddJob(FreshFolder());
  job.mutable_checkpoint()->set_keep(2);
  ASSERT_TRUE(WriteAndSeal(job, 1).ok());
  for (const uint64_t steps : {2, 3, 4}) {
    ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job), PartialOf(job, steps, kEpoch), 64).ok());
    ASSERT_TRUE(SealStep(PosixDisk(), job, steps, kEpoch, /*staying=*/{steps - 1, 1}).ok());
  }
  EXPECT_THAT(StepsIn(job.checkpoint().dir()), ElementsAre(1, 3, 4));
}

TEST(Checkpoint, ResumingWithoutOptimizerStateIsRefused) {
  const JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1);
  fs::remove(sealed->path + "/optimizer.safetensors");
  const auto reader = OpenAll(job, sealed->path);
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("optimizer.safetensors"));
}

TEST(Checkpoint, AnotherModelIsRefusedByField) {
  JobSpec job = OddJob(FreshFolder());
  const auto sealed = WriteAndSeal(job, 1);
  job.mutable_model()->set_heads(5);
  const auto reader = OpenAll(job, sealed->path);
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(reader.status().message()),
              HasSubstr("model.heads is 2 there and 5 in the job"));
}

TEST(Checkpoint, AMissingFolderIsNotFound) {
  EXPECT_EQ(OpenAll(OddJob(""), "/nowhere/at/all").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(ListCheckpoints(PosixDisk(), "/nowhere/at/all")->empty());
}

}  // namespace
}  // namespace waferstream
