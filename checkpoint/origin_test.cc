// What a job starts from, and which checkpoints are whole.
#include "checkpoint/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/inspect.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const WriterEpoch kEpoch = {"job-2-b", 3};

std::string Sealed(JobSpec& job, uint64_t steps) {
  EXPECT_TRUE(BeginTestEpoch(PosixDisk(), job.checkpoint().dir(), kEpoch).ok());
  const auto sealed = WriteAndSeal(PosixDisk(), job, steps, kEpoch);
  EXPECT_TRUE(sealed.ok()) << sealed.status();
  job.mutable_checkpoint()->set_from(sealed->path);
  return sealed->path;
}

void Rewrite(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(Origin, SaysFromWhichStepAndWithWhichOptimizerState) {
  JobSpec job = OddJob(FreshFolder());
  const std::string path = Sealed(job, 6);
  auto origin = ReadOrigin(PosixDisk(), path);
  ASSERT_TRUE(origin.ok()) << origin.status();
  EXPECT_EQ(DescribeOrigin(job, *origin),
            absl::StrCat("goes on from ", path,
                         ": step 6 of job odd (job-2-b), optimizer state included"));
  EXPECT_THAT(AncestorsBy(*origin), ElementsAre("job-2-b"));
  (*origin)->ancestors = {"job-1-a"};
  EXPECT_THAT(AncestorsBy(*origin), ElementsAre("job-2-b", "job-1-a"));
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(1);
  EXPECT_THAT(DescribeOrigin(job, *origin), HasSubstr("keeps no state"));
  (*origin)->steps_done = 0;
  EXPECT_THAT(DescribeOrigin(job, *origin), HasSubstr("starts at step 0"));
}

TEST(Origin, AnExportStartsOverAndSaysSo) {
  JobSpec job = OddJob(FreshFolder());
  const std::string path = Sealed(job, 6);
  fs::remove(path + "/" + kManifestFile);
  fs::remove(path + "/" + kOptimizerFile);
  const auto origin = ReadOrigin(PosixDisk(), path);
  ASSERT_TRUE(origin.ok()) << origin.status();
  EXPECT_FALSE(origin->has_value());
  EXPECT_EQ(DescribeOrigin(job, *origin),
            absl::StrCat("starts at step 0 from the weights in ", path,
                         " (no waferstream.json: another system's, or an export); "
                         "the optimizer starts empty"));
}

TEST(Origin, ADamagedManifestIsNoExport) {
  JobSpec job = OddJob(FreshFolder());
  const std::string path = Sealed(job, 6);
  const std::string manifest = path + "/" + kManifestFile;
  for (const char* text : {"", "{", "null", "{}", "[1, 2]"}) {
    Rewrite(manifest, text);
    EXPECT_EQ(ReadOrigin(PosixDisk(), path).status().code(), absl::StatusCode::kDataLoss) << text;
  }
  fs::remove(manifest);  // what is beside it is this system's
  const auto origin = ReadOrigin(PosixDisk(), path);
  EXPECT_EQ(origin.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(origin.status().message(), HasSubstr(path));
}

TEST(Inspect, FindsWhatIsMissingShortOrOther) {
  JobSpec job = OddJob(FreshFolder());
  job.mutable_checkpoint()->set_keep(10);
  const std::string& dir = job.checkpoint().dir();
  for (const uint64_t steps : {2, 4, 6, 8, 10}) Sealed(job, steps);
  fs::resize_file(StepFolder(dir, 2) + "/" + kModelFile, 1000);
  fs::remove(StepFolder(dir, 4) + "/" + kOptimizerFile);
  fs::remove(StepFolder(dir, 6) + "/" + kManifestFile);
  Rewrite(StepFolder(dir, 8) + "/" + kManifestFile, "");
  fs::create_directories(dir + "/step-best");
  fs::create_directories(dir + "/damaged-step-000009");
  const auto found = FindCheckpoints(PosixDisk(), dir, Depth::kSizes);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 5u);
  const char* const kWhat[] = {kModelFile, kOptimizerFile, kManifestFile, kManifestFile};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ((*found)[i].steps, 2u + 2 * i);
    EXPECT_THAT((*found)[i].manifest.status().message(), HasSubstr(kWhat[i])) << i;
  }
  EXPECT_TRUE((*found)[4].manifest.ok());
  Rewrite(StepFolder(dir, 10) + "/" + kConfigFile,
          std::string(fs::file_size(StepFolder(dir, 10) + "/" + kConfigFile), 'x'));
  EXPECT_TRUE(InspectCheckpoint(PosixDisk(), StepFolder(dir, 10), Depth::kSizes).ok());
  EXPECT_THAT(InspectCheckpoint(PosixDisk(), StepFolder(dir, 10), Depth::kBytes).status().message(),
              HasSubstr("config.json is corrupt"));
}

// As older versions wrote it: a name, or nothing.
TEST(Manifest, ReadsTheWriterOfOlderVersions) {
  JobSpec job = OddJob(FreshFolder());
  const std::string path = Sealed(job, 6);
  const auto manifest = ReadManifest(PosixDisk(), path);
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->written_by, kEpoch);
  const std::string text = ManifestJson(*manifest);
  const size_t at = text.find("\"written_by\": {"), end = text.find('}', at);
  const auto with = [&](const std::string& writer) {
    std::string old = text;
    old.replace(at, end + 1 - at, writer);
    Rewrite(path + "/" + kManifestFile, old);
    return ReadManifest(PosixDisk(), path);
  };
  EXPECT_EQ(with("\"written_by\": \"j-000012-e3\"")->written_by, (WriterEpoch{"j-000012", 3}));
  EXPECT_EQ(with("\"written_by\": \"\"")->written_by, WriterEpoch());
  EXPECT_EQ(with("\"written_by\": null")->written_by, WriterEpoch());
  EXPECT_EQ(with("\"something\": 1")->written_by, WriterEpoch());
  EXPECT_FALSE(with("\"written_by\": {\"job\": 3}").ok());
  EXPECT_FALSE(with("\"written_by\": 3").ok());
}

}  // namespace
}  // namespace waferstream
