#include "data/job_data.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/posix_disk.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

// 100 tokens of the test job's vocabulary; `first` is the first one.
std::string WriteTokens(const std::string& name, char first = 1) {
  const std::string path = testing::TempDir() + "/" + name;
  std::string bytes(100, '\2');
  bytes[0] = first;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

JobSpec RecordedJob() {
  JobSpec job = TestJob();
  job.mutable_data()->add_train(WriteTokens("train.txt"));
  job.mutable_data()->set_validation(WriteTokens("validation.txt"));
  EXPECT_TRUE(RecordContent(PosixDisk(), job).ok());
  return job;
}

std::string RefusalOf(const JobSpec& job) {
  OpenTokenFiles files(PosixDisk());
  const absl::Status status = OpenRecorded(job, files).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_FALSE(absl::StrContains(status.message(), "\n"));
  return std::string(status.message());
}

TEST(JobData, RecordsWhatIsInTheFiles) {
  JobSpec job = RecordedJob();
  EXPECT_EQ(job.data().train_content(0).bytes(), 100u);
  EXPECT_EQ(job.data().validation_content().tokens(), 100u);
  OpenTokenFiles files(PosixDisk());
  const auto data = OpenRecorded(job, files);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->train[0]->content().xxh3_128(), job.data().train_content(0).xxh3_128());
  job.mutable_data()->clear_validation();
  ASSERT_TRUE(RecordContent(PosixDisk(), job).ok());
  EXPECT_FALSE(job.data().has_validation_content());
  EXPECT_EQ(OpenRecorded(job, files)->validation, nullptr);
}

TEST(JobData, RefusesOtherContentNamingFieldFileAndBoth) {
  for (const char* name : {"train", "validation"}) {
    const JobSpec job = RecordedJob();
    const DataContent& was =
        name[0] == 't' ? job.data().train_content(0) : job.data().validation_content();
    WriteTokens(absl::StrCat(name, ".txt"), 3);  // of the same size
    const std::string message = RefusalOf(job);
    EXPECT_TRUE(absl::StartsWith(message, absl::StrCat("data.", name, ": "))) << message;
    EXPECT_TRUE(absl::StrContains(message, absl::StrCat(name, ".txt"))) << message;
    JobSpec now = job;
    ASSERT_TRUE(RecordContent(PosixDisk(), now).ok());
    const DataContent& is =
        name[0] == 't' ? now.data().train_content(0) : now.data().validation_content();
    EXPECT_TRUE(absl::StrContains(message, was.xxh3_128())) << message;
    EXPECT_TRUE(absl::StrContains(message, is.xxh3_128())) << message;
  }
}

TEST(JobData, RefusesAJobThatDoesNotSayWhatItsFilesHold) {
  JobSpec job = RecordedJob();
  job.mutable_data()->clear_train_content();
  EXPECT_TRUE(absl::StrContains(RefusalOf(job), "does not record")) << RefusalOf(job);
}

TEST(JobData, WhatTheModelCannotTakeIsRefusedByFieldAndFile) {
  JobSpec job = RecordedJob();
  job.mutable_model()->set_vocab(2);
  EXPECT_TRUE(absl::StrContains(RefusalOf(job), "token 1 is 2")) << RefusalOf(job);
  job = RecordedJob();
  job.mutable_model()->set_context(100);
  EXPECT_TRUE(absl::StrContains(RefusalOf(job), "too few")) << RefusalOf(job);
  std::filesystem::remove(job.data().train(0));
  EXPECT_TRUE(absl::StartsWith(RefusalOf(job), "data.train: ")) << RefusalOf(job);
}

TEST(OpenTokenFilesTest, ReadsAFileAgainOnlyWhenItHasChanged) {
  const JobSpec job = RecordedJob();
  OpenTokenFiles files(PosixDisk());
  const auto first = *OpenRecorded(job, files);
  EXPECT_EQ(OpenRecorded(job, files)->train, first.train) << "was opened again";
  // Another file of the same content is read again, and is as good.
  std::filesystem::remove(job.data().train(0));
  WriteTokens("train.txt");
  const auto second = OpenRecorded(job, files);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->train, first.train);
  EXPECT_EQ(second->validation, first.validation);
  files.Forget();
  EXPECT_NE(OpenRecorded(job, files)->train, second->train);
}

}  // namespace
}  // namespace waferstream
