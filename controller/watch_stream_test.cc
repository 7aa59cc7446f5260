// A watch, message by message: the call's gRPC half, the loop and the disk move when they are told.
#include "controller/watch_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/manual_world.h"

namespace waferstream {
namespace {

// gRPC's half of a call. At most one message may be on its way, and none once it is finished.
class FakeCall final : public grpc::ServerCallbackWriter<JobStatus> {
 public:
  explicit FakeCall(WatchStream* stream) : stream_(stream) { BindReactor(stream); }
  ~FakeCall() override { stream_->OnDone(); }  // when gRPC is done with it

  void Write(const JobStatus* message, grpc::WriteOptions) override {
    EXPECT_EQ(on_its_way, nullptr);
    EXPECT_FALSE(finished.has_value());
    on_its_way = message;
  }
  void Finish(grpc::Status status) override {
    EXPECT_EQ(on_its_way, nullptr);
    EXPECT_FALSE(finished.has_value()) << "twice";
    finished = std::move(status);
  }
  void SendInitialMetadata() override {}
  void WriteAndFinish(const JobStatus*, grpc::WriteOptions, grpc::Status) override { FAIL(); }

  // The watcher has taken the message, or (not ok) is gone.
  JobStatus Take(bool ok = true) {
    const JobStatus message = *std::exchange(on_its_way, nullptr);
    stream_->OnWriteDone(ok);
    return message;
  }

  const JobStatus* on_its_way = nullptr;
  std::optional<grpc::Status> finished;

 private:
  grpc::internal::ServerReactor* reactor() override { return stream_; }
  void CallOnDone() override {}

  WatchStream* const stream_;
};

class WatchStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    JobRecord record;
    record.number = 1;
    record.status.set_job_id("job-1");
    record.status.set_state(DONE);
    record.status.set_step(2);
    ASSERT_TRUE(
        world_.store->Write({record, CommitRecord{"job-1", 0, 5.5}, CommitRecord{"job-1", 1, 4.25}})
            .ok());
    ASSERT_EQ(host_.Restore(), absl::OkStatus());
    loop_.Run();
  }
  void TearDown() override {
    for (auto& call : calls_) call.reset();
    loop_.Run();  // where the streams end
  }

  // As the job's run would publish it.
  void Publish(JobState state, uint64_t step) {
    JobStatus status;
    status.set_job_id("job-1");
    status.set_state(state);
    status.set_step(step);
    host_.board().Publish(status);
    loop_.Run();
  }
  FakeCall& Watch(const std::string& job_id = "job-1") {
    auto* stream = new WatchStream(host_, job_id);  // deletes itself
    calls_.push_back(std::make_unique<FakeCall>(stream));
    streams_.push_back(stream);
    loop_.Run();
    return *calls_.back();
  }
  JobStatus Take(FakeCall& call, bool ok = true) {
    EXPECT_NE(call.on_its_way, nullptr);
    const JobStatus message = call.on_its_way == nullptr ? JobStatus() : call.Take(ok);
    loop_.Run();
    return message;
  }
  void CancelLast() {
    streams_.back()->OnCancel();
    loop_.Run();
  }

  ManualWorld world_;
  ManualLoop& loop_ = world_.loop;
  ControllerHost host_{world_.world(), ControllerHost::Options{.state_dir = "/state"}};
  std::vector<std::unique_ptr<FakeCall>> calls_;
  std::vector<WatchStream*> streams_;
};

TEST_F(WatchStreamTest, BeginsWithTheStatusAsItIsAndSendsEveryChangeThatIsTaken) {
  Publish(RUNNING, 3);
  FakeCall& call = Watch();
  EXPECT_EQ(Take(call).step(), 3u);
  EXPECT_EQ(call.on_its_way, nullptr);  // nothing new
  for (uint64_t step = 4; step < 7; ++step) {
    Publish(RUNNING, step);
    EXPECT_EQ(Take(call).step(), step);
  }
  EXPECT_FALSE(call.finished.has_value());
}

TEST_F(WatchStreamTest, ASlowWatcherGetsTheLatestStatusOnly) {
  Publish(RUNNING, 0);
  FakeCall& call = Watch();
  for (uint64_t step = 1; step < 100; ++step) Publish(RUNNING, step);
  EXPECT_EQ(call.on_its_way->step(), 0u);  // what is on its way stays as it is
  EXPECT_EQ(Take(call).step(), 0u);
  EXPECT_EQ(Take(call).step(), 99u);
  EXPECT_EQ(call.on_its_way, nullptr);
}

TEST_F(WatchStreamTest, TheLastMessageIsTheFinalStatusWithItsLosses) {
  Publish(RUNNING, 1);
  FakeCall& call = Watch();
  Publish(DONE, 2);
  EXPECT_EQ(Take(call).state(), RUNNING);
  const JobStatus last = Take(call);
  EXPECT_EQ(last.state(), DONE);
  EXPECT_EQ(std::vector<double>(last.losses().begin(), last.losses().end()),
            (std::vector<double>{5.5, 4.25}));
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_TRUE(call.finished->ok());
}

TEST_F(WatchStreamTest, AFinishedWatchHearsNothingMore) {
  FakeCall& call = Watch();  // the job is over already
  EXPECT_FALSE(call.finished.has_value());
  EXPECT_EQ(Take(call).losses_size(), 2);
  ASSERT_TRUE(call.finished.has_value());
  Publish(DONE, 2);
  CancelLast();  // as gRPC may tell of a call that has ended
  EXPECT_EQ(call.on_its_way, nullptr);
}

TEST_F(WatchStreamTest, WhatChangesWhileTheLossesAreReadIsNotSentBesideThem) {
  world_.lanes.held = true;
  FakeCall& call = Watch();
  EXPECT_EQ(call.on_its_way, nullptr);
  Publish(DONE, 2);
  EXPECT_EQ(call.on_its_way, nullptr);
  world_.lanes.RunAll();
  loop_.Run();
  EXPECT_EQ(Take(call).losses_size(), 2);
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_TRUE(call.finished->ok());
}

TEST_F(WatchStreamTest, AWatcherThatLeavesWhileNothingIsOnItsWayIsLetGoAtOnce) {
  Publish(RUNNING, 1);
  FakeCall& call = Watch();
  Take(call);
  CancelLast();
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_EQ(call.finished->error_code(), grpc::StatusCode::CANCELLED);
  Publish(RUNNING, 2);
  EXPECT_EQ(call.on_its_way, nullptr);
}

TEST_F(WatchStreamTest, AWatcherThatLeavesIsLetGoOnceItsMessageIsAccountedFor) {
  Publish(RUNNING, 1);
  FakeCall& call = Watch();
  CancelLast();
  EXPECT_FALSE(call.finished.has_value());
  Publish(RUNNING, 2);
  Take(call, /*ok=*/false);
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_EQ(call.finished->error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(WatchStreamTest, AMessageThatCannotBeSentEndsTheWatch) {
  Publish(RUNNING, 1);
  FakeCall& call = Watch();
  Publish(RUNNING, 2);
  Take(call, /*ok=*/false);
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_EQ(call.finished->error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(WatchStreamTest, AWatcherMayLeaveWhileTheLossesAreRead) {
  world_.lanes.held = true;
  FakeCall& call = Watch();
  CancelLast();
  world_.lanes.RunAll();
  loop_.Run();
  Take(call, /*ok=*/false);
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_EQ(call.finished->error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(WatchStreamTest, AnUnknownJobIsNotFound) {
  FakeCall& call = Watch("job-9");
  ASSERT_TRUE(call.finished.has_value());
  EXPECT_EQ(call.finished->error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WatchStreamTest, TooManyWatchersAreRefusedUntilOneLeaves) {
  Publish(RUNNING, 1);
  class Nobody final : public StatusWatcher {
    void OnStatus() override {}
  };
  std::array<Nobody, StatusBoard::kWatchersMax - 1> others;
  for (Nobody& other : others) ASSERT_TRUE(host_.board().Watch("job-1", &other));
  FakeCall& last = Watch();
  EXPECT_FALSE(last.finished.has_value());
  FakeCall& one_more = Watch();
  ASSERT_TRUE(one_more.finished.has_value());
  EXPECT_EQ(one_more.finished->error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(one_more.finished->error_message(), "there are already 256 watchers");
  Take(last, /*ok=*/false);
  EXPECT_FALSE(Watch().finished.has_value());
  for (Nobody& other : others) host_.board().Unwatch("job-1", &other);
}

}  // namespace
}  // namespace waferstream
