#include "controller/job_store.h"

#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

JobRecord Job(uint64_t number, JobState state) {
  JobRecord record;
  record.number = number;
  record.request_id = "request-" + std::to_string(number);
  record.status.set_job_id("j-" + std::to_string(number));
  record.status.set_state(state);
  record.status.mutable_job()->set_name("name");
  return record;
}

class JobStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "/job_store_XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::string path() const { return dir_ + "/controller.sqlite"; }
  void Reopen() {
    store_.reset();
    auto store = JobStore::Open(path());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::string dir_;
  std::unique_ptr<JobStore> store_;
};

TEST_F(JobStoreTest, FindsEverythingAfterReopening) {
  JobRecord job = Job(1, QUEUED);
  ASSERT_TRUE(store_->Write({job, EventRecord{"j-1", 12.5, "submitted"}}).ok());
  job.status.set_state(DONE);
  job.status.set_weights_hash("abc");
  ASSERT_TRUE(store_->Write({CommitRecord{"j-1", 0, 5.5, 1, 1, 0.1}}).ok());
  ASSERT_TRUE(store_->Write({CommitRecord{"j-1", 1, 4.25, 1, 1, 0.1}}).ok());
  ASSERT_TRUE(store_->Write({job, EventRecord{"j-1", 13.5, "done"}}).ok());
  Reopen();
  const auto jobs = store_->LoadJobs();
  ASSERT_TRUE(jobs.ok());
  ASSERT_EQ(jobs->size(), 1u);
  EXPECT_EQ(jobs->front().request_id, "request-1");
  EXPECT_EQ(jobs->front().status.SerializeAsString(), job.status.SerializeAsString());
  EXPECT_THAT(*store_->LoadLosses("j-1", 2), ElementsAre(5.5, 4.25));
  const auto events = store_->LoadEvents("j-1");
  ASSERT_EQ(events->events_size(), 2);
  EXPECT_EQ(events->events(0).text(), "submitted");
  EXPECT_EQ(events->events(1).unix_s(), 13.5);
}

TEST_F(JobStoreTest, KeepsJobsApart) {
  ASSERT_TRUE(store_->Write({Job(2, QUEUED), Job(1, DONE)}).ok());
  ASSERT_TRUE(store_->Write({CommitRecord{"j-1", 0, 1, 1, 1, 1}}).ok());
  EXPECT_EQ(store_->LoadJobs()->at(0).status.job_id(), "j-1");
  EXPECT_EQ(store_->LoadJobs()->at(1).status.job_id(), "j-2");
  EXPECT_THAT(*store_->LoadLosses("j-2", 10), IsEmpty());
  EXPECT_EQ(store_->LoadEvents("nobody")->events_size(), 0);
}

TEST_F(JobStoreTest, LossesEndWhereTheStatusDoes) {
  for (uint64_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(store_->Write({CommitRecord{"j-1", step, 1.0 + step, 1, 1, 1}}).ok());
  }
  EXPECT_THAT(*store_->LoadLosses("j-1", 2), ElementsAre(1, 2));
}

TEST_F(JobStoreTest, AJobCutOffInTheMiddleStandsAtItsLastCommit) {
  ASSERT_TRUE(store_->Write({Job(1, RUNNING), CommitRecord{"j-1", 7, 2.5, 1, 1, 1}}).ok());
  const auto jobs = store_->LoadJobs();
  EXPECT_EQ(jobs->front().status.step(), 8u);
  EXPECT_EQ(jobs->front().status.loss(), 2.5);
}

TEST_F(JobStoreTest, ATransactionIsAllOrNothing) {
  ASSERT_TRUE(store_->Write({Job(1, QUEUED)}).ok());
  JobRecord clash = Job(2, QUEUED);
  clash.request_id = "request-1";
  const absl::Status status = store_->Write({EventRecord{"j-2", 1, "submitted"}, clash});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(path()));
  EXPECT_EQ(store_->LoadEvents("j-2")->events_size(), 0);
  EXPECT_TRUE(store_->Write({Job(2, QUEUED)}).ok());
}

TEST_F(JobStoreTest, RefusesAFileThatIsNotItsOwn) {
  store_.reset();
  std::filesystem::remove_all(dir_ + "/controller.sqlite-wal");
  std::ofstream(path()) << std::string(8192, 'x');
  const auto store = JobStore::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(store.status().message(), HasSubstr(path()));
}

TEST_F(JobStoreTest, RefusesTheLayoutOfANewerController) {
  store_.reset();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
  sqlite3_exec(database, "PRAGMA user_version = 4", nullptr, nullptr, nullptr);
  sqlite3_close(database);
  EXPECT_EQ(JobStore::Open(path()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(JobStoreTest, TakesUpTheLayoutsBeforeIt) {
  const std::string to_layout_2 =
      "ALTER TABLE commits DROP COLUMN step_seconds; "
      "ALTER TABLE commits DROP COLUMN exposed_fraction; "
      "ALTER TABLE commits DROP COLUMN profile_seconds; PRAGMA user_version = 2;";
  const std::string to_layout_1 =
      to_layout_2 +
      "ALTER TABLE jobs DROP COLUMN memory; DROP TABLE cordons; PRAGMA user_version = 1";
  for (const std::string& back : {to_layout_2, to_layout_1}) {
    ASSERT_TRUE(store_->Write({Job(1, QUEUED), CommitRecord{"j-1", 0, 5.5, 1, 1, 1}}).ok());
    store_.reset();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, back.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
    Reopen();
    EXPECT_EQ(store_->LoadJobs()->at(0).memory.members_size(), 0);
    EXPECT_EQ(store_->LoadCommits("j-1", 0)->at(0).loss, 5.5);
    EXPECT_EQ(store_->LoadCommits("j-1", 0)->at(0).times.step_seconds, 0);
    EXPECT_TRUE(store_->Write({CordonRecord{"a", true, true, "why"}}).ok());
  }
}

TEST_F(JobStoreTest, KeepsWhatRecoveryNeeds) {
  JobRecord job = Job(1, RUNNING);
  job.memory.add_members()->set_node_id("m0");
  ASSERT_TRUE(store_->Write({job}).ok());
  for (uint64_t step = 0; step < 4; ++step) {
    const StepTimes times = {.step_seconds = 4.0 + step, .exposed_fraction = 0.125};
    ASSERT_TRUE(store_->Write({CommitRecord{"j-1", step, 2.0 + step, 3, 0.5, 0.25, times}}).ok());
  }
  ASSERT_TRUE(store_->Write({CordonRecord{"a", true, true, "why"}, CordonRecord{"b", true}}).ok());
  ASSERT_TRUE(store_->Write({CordonRecord{"b", false}}).ok());
  Reopen();
  EXPECT_EQ(store_->LoadJobs()->at(0).memory.members(0).node_id(), "m0");
  EXPECT_EQ(store_->LoadJobs()->at(0).status.step(), 4u);
  const auto commits = *store_->LoadCommits("j-1", 2);
  ASSERT_EQ(commits.size(), 2u);
  EXPECT_EQ(commits[1].step, 3u);
  EXPECT_EQ(commits[1].loss, 5);
  EXPECT_EQ(commits[1].clip_factor, 0.5);
  EXPECT_EQ(commits[1].times.step_seconds, 7);
  EXPECT_EQ(commits[1].times.exposed_fraction, 0.125);
  const auto cordons = *store_->LoadCordons();
  ASSERT_EQ(cordons.size(), 1u);
  EXPECT_TRUE(cordons[0].node_id == "a" && cordons[0].draining && cordons[0].note == "why");
  // Back to a checkpoint: what came after it is made again.
  ASSERT_TRUE(store_->Write({RewindRecord{"j-1", 2}}).ok());
  EXPECT_EQ(store_->LoadJobs()->at(0).status.step(), 2u);
  EXPECT_THAT(*store_->LoadLosses("j-1", 9), ElementsAre(2, 3));
}

// The files as another process finds them when this one ends now.
TEST_F(JobStoreTest, WhatIsWrittenAheadIsThereForTheNextProcess) {
  ASSERT_TRUE(store_->Write({Job(1, RUNNING)}).ok());
  for (uint64_t step = 0; step < 2; ++step) {
    ASSERT_TRUE(store_->WriteAhead({CommitRecord{"j-1", step, 2.5, 1, 1, 0.1}}).ok());
    if (step > 0) continue;
    ASSERT_TRUE(store_->Sync().ok());
  }
  const std::string next = dir_ + "/next.sqlite";
  std::filesystem::copy(path(), next);
  std::filesystem::copy(path() + "-wal", next + "-wal");
  const auto found = JobStore::Open(next);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*(*found)->LoadLosses("j-1", 9), ElementsAre(2.5, 2.5));
}

TEST_F(JobStoreTest, AWriteThatCannotBeMadeIsAnErrorAndLeavesTheStoreUsable) {
  // Somebody else holds the write lock.
  sqlite3* other = nullptr;
  const JobRecord job = Job(1, QUEUED);
  ASSERT_TRUE(store_->Write({job}).ok());
  ASSERT_EQ(sqlite3_open(path().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(store_->Write({job}).code(), absl::StatusCode::kUnavailable);
  sqlite3_close(other);
  EXPECT_TRUE(store_->Write({job}).ok());
}

TEST(JobStore, ADirectoryThatDoesNotExistIsAClearError) {
  const auto store = JobStore::Open("/nonexistent/controller.sqlite");
  EXPECT_THAT(store.status().message(),
              HasSubstr("job store /nonexistent/controller.sqlite: unable to open"));
}

}  // namespace
}  // namespace waferstream
