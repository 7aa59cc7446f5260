#include "client/controller_client.h"

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/fake_controller.h"
#include "client/follow_job.h"
#include "client/status_stream.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

TEST(ControllerClientTest, ErrorsKeepTheirCode) {
  FakeController controller;
  controller.on_get = [](const std::string& job_id, JobStatus* reply) {
    if (job_id == "gone") return grpc::Status(grpc::StatusCode::NOT_FOUND, "gone: no such job");
    *reply = StatusAt(7);
    return grpc::Status::OK;
  };
  ControllerClient client(controller.address());
  EXPECT_EQ(client.Get("job-1")->step(), 7u);
  EXPECT_EQ(client.Get("gone").status(), absl::NotFoundError("gone: no such job"));
}

TEST(ControllerClientTest, NobodyThereIsUnavailable) {
  std::string address;
  { address = FakeController().address(); }
  ControllerClient client(address);
  const absl::Status status = client.List().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "controller " + address + ": cannot be reached");
}

// As a controller's door does to a proof from before it listened: it gives details.
grpc::Status RefusedUnheard() {
  return {grpc::StatusCode::UNAVAILABLE, "the proof is from before this process listened",
          Controller::service_full_name()};
}

TEST(ControllerClientTest, WhatAYoungControllerRefusesUnheardIsAskedAgain) {
  FakeController controller;
  int calls = 0;
  controller.on_get = [&](const std::string&, JobStatus* reply) {
    if (++calls < 3) return RefusedUnheard();
    *reply = StatusAt(7);
    return grpc::Status::OK;
  };
  ControllerClient client(controller.address());
  EXPECT_EQ(client.Get("job-1")->step(), 7u);
  EXPECT_EQ(calls, 3);
}

// For example because the clocks of the two hosts differ.
TEST(ControllerClientTest, WhatItGoesOnToRefuseIsSaidWithItsReason) {
  FakeController controller;
  int calls = 0;
  controller.on_get = [&](const std::string&, JobStatus*) {
    ++calls;
    return RefusedUnheard();
  };
  ControllerClient client(controller.address());
  EXPECT_EQ(client.Get("job-1").status(), absl::UnavailableError(absl::StrCat(
                                              "controller ", controller.address(),
                                              ": the proof is from before this process listened")));
  EXPECT_GT(calls, 2);
}

// A disk that is full, a node that is away: the controller is there, and says so.
TEST(ControllerClientTest, WhatAControllerCannotDoIsItsOwnWord) {
  FakeController controller;
  int calls = 0;
  absl::Status answer;
  controller.on_get = [&](const std::string&, JobStatus*) {
    ++calls;
    return ToGrpc(answer);
  };
  ControllerClient client(controller.address());
  for (const auto code : {absl::StatusCode::kUnavailable, absl::StatusCode::kDeadlineExceeded}) {
    answer = absl::Status(code, "cannot record the job: disk full");
    const absl::Status got = client.Get("job-1").status();
    EXPECT_EQ(got, absl::Status(code, absl::StrCat("controller ", controller.address(),
                                                   ": cannot record the job: disk full")));
  }
  EXPECT_EQ(calls, 2);
}

TEST(ControllerClientTest, WhatNobodyAnsweredIsNotAskedAgain) {
  FakeController controller;
  int calls = 0;
  controller.on_get = [&](const std::string&, JobStatus*) {
    ++calls;
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "");
  };
  ControllerClient client(controller.address());
  EXPECT_EQ(client.Get("job-1").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls, 1);
}

// The next status, however long it takes; fails the test if there is an error instead.
JobStatus Await(StatusStream& stream) {
  for (;;) {
    absl::StatusOr<std::optional<JobStatus>> next = stream.Next(absl::Seconds(30));
    if (!next.ok()) {
      ADD_FAILURE() << next.status();
      return JobStatus();
    }
    if (*next) return **next;
  }
}

TEST(StatusStreamTest, SurvivesAControllerThatRestarts) {
  auto first = std::make_unique<FakeController>();
  first->on_watch = [](grpc::ServerContext* context, FakeController::WatchWriter* writer) {
    writer->Write(StatusAt(1));
    WaitFor([&] { return context->IsCancelled(); });
    return grpc::Status::OK;
  };
  const int port = first->port();
  ControllerClient client(first->address());
  StatusStream stream(client, "job-1", absl::Seconds(30));
  EXPECT_EQ(Await(stream).step(), 1u);
  first.reset();
  FakeController second(port);
  second.on_watch = [](grpc::ServerContext*, FakeController::WatchWriter* writer) {
    writer->Write(StatusAt(5, DONE));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Await(stream).state(), DONE);
}

TEST(StatusStreamTest, GivesUpWhenPatienceEnds) {
  std::string address;
  { address = FakeController().address(); }
  ControllerClient client(address);
  StatusStream stream(client, "job-1", absl::Milliseconds(300));
  const auto next = stream.Next(absl::Seconds(30));
  EXPECT_EQ(next.status().code(), absl::StatusCode::kUnavailable);
}

TEST(StatusStreamTest, AnUnknownJobIsNotTriedAgain) {
  FakeController controller;
  std::atomic<int> calls = 0;
  controller.on_watch = [&](grpc::ServerContext*, FakeController::WatchWriter*) {
    ++calls;
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "job-1: no such job");
  };
  ControllerClient client(controller.address());
  StatusStream stream(client, "job-1", absl::Seconds(30));
  EXPECT_EQ(stream.Next(absl::Seconds(30)).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(calls, 1);
}

// A controller with one job that runs until it is cancelled.
class FollowJobTest : public testing::Test {
 protected:
  FollowJobTest() : client_(controller_.address()), progress_(stderr, Progress::Style::kQuiet) {
    controller_.on_watch = [this](grpc::ServerContext* context,
                                  FakeController::WatchWriter* writer) {
      writer->Write(StatusAt(3));
      WaitFor([&] { return context->IsCancelled() || cancelled_; });
      if (cancelled_) writer->Write(StatusAt(3, CANCELLED));
      return grpc::Status::OK;
    };
    controller_.on_cancel = [this](const std::string&, JobStatus*) {
      cancelled_ = ends_when_cancelled_.load();
      cancel_calls_++;
      return grpc::Status::OK;
    };
  }
  ~FollowJobTest() override { cancelled_ = true; }

  // Follows the job and interrupts after its first status.
  absl::StatusOr<JobStatus> FollowAndInterrupt(OnInterrupt on_interrupt, int times) {
    FollowOptions options;
    options.on_interrupt = on_interrupt;
    options.on_status = [&](const JobStatus& status) {
      if (status.state() == RUNNING && interrupts_.count() == 0) raise(SIGINT);
    };
    options.check = [&] {
      if (interrupts_.count() < times) raise(SIGINT);
      return absl::OkStatus();
    };
    return FollowJob(client_, "job-1", interrupts_, progress_, options);
  }

  InterruptCounter interrupts_;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> ends_when_cancelled_ = true;
  std::atomic<int> cancel_calls_ = 0;
  FakeController controller_;
  ControllerClient client_;
  Progress progress_;
};

TEST_F(FollowJobTest, InterruptDetaches) {
  const absl::StatusOr<JobStatus> last = FollowAndInterrupt(OnInterrupt::kDetach, 1);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->step(), 3u);
  EXPECT_EQ(last->state(), RUNNING);
  EXPECT_EQ(cancel_calls_, 0);
}

TEST_F(FollowJobTest, InterruptCancels) {
  const absl::StatusOr<JobStatus> last = FollowAndInterrupt(OnInterrupt::kCancelJob, 1);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->state(), CANCELLED);
  EXPECT_EQ(cancel_calls_, 1);
}

TEST_F(FollowJobTest, ASecondInterruptDoesNotWait) {
  ends_when_cancelled_ = false;
  const absl::StatusOr<JobStatus> last = FollowAndInterrupt(OnInterrupt::kCancelJob, 2);
  EXPECT_EQ(last.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(cancel_calls_, 1);
}

// A job that waits for a person, until its watcher hangs up.
void PauseInWatch(FakeController& controller) {
  controller.on_get = [](const std::string&, JobStatus* reply) {
    *reply = StatusAt(3, PAUSED);
    return grpc::Status::OK;
  };
  controller.on_watch = [](grpc::ServerContext* context, FakeController::WatchWriter* writer) {
    writer->Write(StatusAt(3, PAUSED));
    WaitFor([&] { return context->IsCancelled(); });
    return grpc::Status::OK;
  };
}

TEST_F(FollowJobTest, StopsAtAPauseIfAskedTo) {
  PauseInWatch(controller_);
  FollowOptions options;
  options.stop_when_paused = true;
  const absl::StatusOr<JobStatus> last =
      FollowJob(client_, "job-1", interrupts_, progress_, options);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->state(), PAUSED);
}

TEST_F(FollowJobTest, OtherwiseAPauseIsAStateLikeAnother) {
  PauseInWatch(controller_);
  bool seen = false;
  FollowOptions options;
  options.on_status = [&](const JobStatus& status) { seen = status.state() == PAUSED; };
  options.check = [&] { return seen ? absl::AbortedError("seen enough") : absl::OkStatus(); };
  EXPECT_EQ(FollowJob(client_, "job-1", interrupts_, progress_, options).status().message(),
            "seen enough");
}

TEST_F(FollowJobTest, AControllerThatGoesAwayIsOneLine) {
  std::atomic<int> calls = 0;
  controller_.on_watch = [&](grpc::ServerContext*, FakeController::WatchWriter* writer) {
    if (++calls < 4) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "");
    writer->Write(StatusAt(5, DONE));
    return grpc::Status::OK;
  };
  std::FILE* out = std::tmpfile();
  {
    Progress progress(out, Progress::Style::kQuiet);
    const absl::StatusOr<JobStatus> last = FollowJob(client_, "job-1", interrupts_, progress, {});
    ASSERT_TRUE(last.ok()) << last.status();
  }
  std::rewind(out);
  char text[1000];
  const size_t length = std::fread(text, 1, sizeof text, out);
  std::fclose(out);
  EXPECT_EQ(std::string(text, length), "controller " + controller_.address() +
                                           ": cannot be reached; waiting up to 1m for it\n");
}

TEST_F(FollowJobTest, ASubmitThatWasNotAnsweredIsRepeatedUnderOneRequestId) {
  std::vector<std::string> ids;
  controller_.on_submit = [&](const SubmitRequest& request, JobStatus* reply) {
    ids.push_back(request.request_id());
    if (ids.size() < 3) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "");
    *reply = StatusAt(0, QUEUED);
    return grpc::Status::OK;
  };
  SubmitRequest request;
  request.set_request_id("mine");
  const absl::StatusOr<JobStatus> job = SubmitJob(client_, request, interrupts_, progress_, {});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->job_id(), "job-1");
  EXPECT_EQ(ids, std::vector<std::string>(3, "mine"));
}

TEST_F(FollowJobTest, ASubmitThatIsRefusedIsNot) {
  int calls = 0;
  controller_.on_submit = [&](const SubmitRequest&, JobStatus*) {
    ++calls;
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "model.hidden: is 33");
  };
  EXPECT_EQ(SubmitJob(client_, SubmitRequest(), interrupts_, progress_, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(calls, 1);
}

TEST_F(FollowJobTest, AFailedCheckEndsIt) {
  FollowOptions options;
  options.check = [] { return absl::AbortedError("wafer-0: was ended by signal 9"); };
  EXPECT_EQ(FollowJob(client_, "job-1", interrupts_, progress_, options).status().code(),
            absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace waferstream
