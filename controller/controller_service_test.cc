// The controller as its users and nodes see it: real gRPC on the loopback, a real store, nodes that
// answer every call with OK.
#include "controller/controller_service.h"

#include <grpcpp/generic/generic_stub.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/protocol_range.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "plan/test_job.h"
#include "proto/node.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "rpc/status.h"
#include "rpc/stranger.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every node of the cluster at once: they differ only in what they are registered as.
class FakeNodes final : public Node::Service {
 public:
  grpc::Status Prepare(grpc::ServerContext*, const PrepareRequest*, PrepareReply*) override {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&may_prepare_));
    return grpc::Status::OK;
  }
  grpc::Status Connect(grpc::ServerContext*, const EpochRef*, Empty*) override { return {}; }
  grpc::Status Start(grpc::ServerContext*, const EpochRef*, Empty*) override { return {}; }
  grpc::Status Commit(grpc::ServerContext*, const CommitRequest*, Empty*) override { return {}; }
  grpc::Status SealCheckpoint(grpc::ServerContext*, const SealRequest* request,
                              SealReply* reply) override {
    reply->set_path(absl::StrCat("/checkpoints/", request->steps_done()));
    reply->set_weights_hash("weights");
    return {};
  }
  grpc::Status Release(grpc::ServerContext*, const EpochRef*, Empty*) override { return {}; }
  grpc::Status ReadLog(grpc::ServerContext*, const ReadLogRequest* request,
                       ReadLogReply* reply) override {
    reply->set_text(absl::StrCat("the last ", request->bytes_max(), " bytes"));
    return {};
  }

  // From now on, Prepare does not return before AllowPrepare.
  void HoldPrepare() {
    absl::MutexLock lock(&mutex_);
    may_prepare_ = false;
  }
  void AllowPrepare() {
    absl::MutexLock lock(&mutex_);
    may_prepare_ = true;
  }

 private:
  absl::Mutex mutex_;
  bool may_prepare_ ABSL_GUARDED_BY(mutex_) = true;
};

class ControllerServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "/controller_XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    auto nodes = StartServer(nodes_, {});
    ASSERT_TRUE(nodes.ok()) << nodes.status();
    node_server_ = std::move(nodes->server);
    node_port_ = nodes->port;
    StartController();
  }
  void TearDown() override {
    nodes_.AllowPrepare();
    StopController();
    node_server_->Shutdown();
    std::filesystem::remove_all(dir_);
  }

  absl::StatusOr<std::unique_ptr<LocalController>> OpenController() {
    return LocalController::Open(
        {.state_dir = dir_ + "/state", .lease_ms = 600000, .log = [](const std::string&) {}});
  }
  void StartController() {
    auto controller = OpenController();
    ASSERT_TRUE(controller.ok()) << controller.status();
    controller_ = *std::move(controller);
    service_ = std::make_unique<ControllerService>(*controller_, credentials_);
    auto running = StartServer(*service_, {.door = &service_->door()});
    ASSERT_TRUE(running.ok()) << running.status();
    server_ = std::move(running->server);
    port_ = running->port;
    stub_ = Controller::NewStub(
        OpenChannel(absl::StrCat("127.0.0.1:", port_), kUserToController, credentials_));
  }
  void StopController() {
    controller_->BeginStop();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
    controller_->Stop();
    server_.reset();
    service_.reset();
    controller_.reset();
  }

  absl::Status Register(const std::string& id, Role role,
                        const ProtocolRange& protocols = OwnProtocols(),
                        RegisterReply* answer = nullptr) {
    RegisterRequest request;
    request.set_node_id(id);
    request.set_role(role);
    request.set_host("127.0.0.1");
    request.set_control_port(node_port_);
    request.set_fabric_port(1);
    request.set_protocol_version(protocols.newest);
    request.set_protocol_oldest(protocols.oldest);
    request.set_build("0.2.0");
    request.set_numerics(Numerics());
    request.set_incarnation(1);
    grpc::ClientContext context;
    RegisterReply reply;
    absl::Status status = ToAbsl(stub_->Register(&context, request, &reply));
    EXPECT_EQ(reply.lease_ms(), status.ok() ? 600000u : 0u);
    if (answer != nullptr) *answer = reply;
    return status;
  }
  void RegisterAll() {
    ASSERT_TRUE(Register("m0", MEMORYX).ok());
    ASSERT_TRUE(Register("s0", SWARMX).ok());
    ASSERT_TRUE(Register("w0", WAFER).ok());
  }

  absl::StatusOr<JobStatus> Submit(const JobSpec& job, const std::string& request_id) {
    SubmitRequest request;
    request.set_request_id(request_id);
    *request.mutable_job() = job;
    grpc::ClientContext context;
    JobStatus reply;
    const absl::Status status = ToAbsl(stub_->Submit(&context, request, &reply));
    if (!status.ok()) return status;
    job_id_ = reply.job_id();
    return reply;
  }
  absl::StatusOr<JobStatus> Get(const std::string& job_id) {
    grpc::ClientContext context;
    JobStatus reply;
    const absl::Status status = ToAbsl(stub_->Get(&context, Ref(job_id), &reply));
    if (!status.ok()) return status;
    return reply;
  }
  static JobRef Ref(const std::string& job_id) {
    JobRef ref;
    ref.set_job_id(job_id);
    return ref;
  }
  // Watches until `state` and returns that status.
  JobStatus WaitFor(const std::string& job_id, JobState state) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    const auto stream = stub_->Watch(&context, Ref(job_id));
    JobStatus status;
    while (stream->Read(&status) && status.state() < state) {
    }
    EXPECT_EQ(status.state(), state) << status.reason();
    context.TryCancel();
    stream->Finish();
    return status;
  }

  void Report(NodeReport report, uint64_t sequence) {
    report.set_job_id(job_id_);
    report.set_epoch(epoch_);
    report.set_sequence(sequence);
    grpc::ClientContext context;
    Empty reply;
    const grpc::Status status = stub_->Report(&context, report, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  void ReportStep(uint64_t step) {
    NodeReport wafer;
    wafer.set_node_id("w0");
    wafer.mutable_wafer_step()->set_step(step);
    for (int leaf = 0; leaf < 8; ++leaf) {
      wafer.mutable_wafer_step()->add_micro_batch(leaf);
      wafer.mutable_wafer_step()->add_loss_sum(16 * (step + 1));
    }
    Report(wafer, step);
    NodeReport memoryx;
    memoryx.set_node_id("m0");
    memoryx.mutable_gradients_ready()->set_step(step);
    memoryx.mutable_gradients_ready()->add_shards()->add_limbs(1);
    Report(memoryx, step);
  }
  // A node reports the next step only after the commit of this one.
  void WaitForStep(uint64_t steps) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    const auto stream = stub_->Watch(&context, Ref("job-1"));
    JobStatus status;
    while (stream->Read(&status) && status.step() < steps) {
    }
    EXPECT_EQ(status.step(), steps);
    context.TryCancel();
    stream->Finish();
  }

  std::string job_id_;  // of the last Submit, and of what the nodes report
  uint32_t epoch_ = 1;
  std::string dir_;
  FakeNodes nodes_;
  int node_port_ = 0;
  Credentials credentials_;  // of controller and caller
  std::unique_ptr<grpc::Server> node_server_;
  std::unique_ptr<LocalController> controller_;
  std::unique_ptr<ControllerService> service_;
  std::unique_ptr<grpc::Server> server_;
  uint16_t port_ = 0;
  std::unique_ptr<Controller::Stub> stub_;
};

TEST_F(ControllerServiceTest, WithoutAnAuditLogNothingIsChanged) {
  std::filesystem::create_directory(dir_ + "/state/audit.jsonl");
  const auto refused = Submit(TestJob(), "r");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("the audit log "));
  std::filesystem::remove(dir_ + "/state/audit.jsonl");
  EXPECT_TRUE(Submit(TestJob(), "r").ok());
  EXPECT_THAT(Get("job-1")->user(), IsEmpty());
}

TEST_F(ControllerServiceTest, RunsAJobAndRemembersItAfterARestart) {
  RegisterAll();
  const auto submitted = Submit(TestJob(), "one");
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  EXPECT_THAT(submitted->job_id(), ::testing::MatchesRegex("job-1-[0-9a-z]+"));
  WaitFor("job-1", RUNNING);
  for (uint64_t step = 0; step < 4; ++step) {
    ReportStep(step);
    WaitForStep(step + 1);
  }
  NodeReport written;
  written.set_node_id("m0");
  written.mutable_checkpoint_written()->set_steps_done(4);
  Report(written, 4);
  const JobStatus done = WaitFor("job-1", DONE);
  EXPECT_EQ(done.weights_hash(), "weights");
  EXPECT_THAT(done.losses(), ::testing::ElementsAre(1, 2, 3, 4));

  StopController();
  StartController();
  const auto again = Get("job-1");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->state(), DONE);
  EXPECT_THAT(again->losses(), ::testing::ElementsAre(1, 2, 3, 4));
  grpc::ClientContext events_context, list_context;
  EventList events;
  ASSERT_TRUE(stub_->Events(&events_context, Ref("job-1"), &events).ok());
  EXPECT_EQ(events.events(events.events_size() - 1).text(), "done");
  JobList list;
  ASSERT_TRUE(stub_->List(&list_context, {}, &list).ok());
  ASSERT_EQ(list.jobs_size(), 1);
  EXPECT_EQ(list.jobs(0).losses_size(), 0);
  EXPECT_EQ(Submit(TestJob(), "one")->state(), DONE);
}

TEST_F(ControllerServiceTest, CancelsAJobWhileItsNodesPrepare) {
  nodes_.HoldPrepare();
  RegisterAll();
  ASSERT_TRUE(Submit(TestJob(), "one").ok());
  WaitFor("job-1", PREPARING);
  for (int twice = 0; twice < 2; ++twice) {
    grpc::ClientContext context;
    JobStatus status;
    ASSERT_TRUE(stub_->Cancel(&context, Ref("job-1"), &status).ok());
    EXPECT_EQ(status.state(), CANCELLED);
  }
  WaitFor("job-1", CANCELLED);
}

TEST_F(ControllerServiceTest, AJobThatRanWhenTheControllerStoppedGoesOnAtItsLastCommit) {
  RegisterAll();
  ASSERT_TRUE(Submit(TestJob(), "one").ok());
  WaitFor("job-1", RUNNING);
  ReportStep(0);
  WaitForStep(1);
  StopController();
  StartController();
  const auto status = Get("job-1");
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->state(), PREPARING);
  EXPECT_EQ(status->reason(), "the controller was restarted");
  EXPECT_EQ(status->step(), 1u);
  EXPECT_THAT(status->losses(), ::testing::ElementsAre(1));
  epoch_ = 2;
  RegisterAll();
  WaitFor("job-1", RUNNING);
  for (uint64_t step = 1; step < 4; ++step) {
    ReportStep(step);
    WaitForStep(step + 1);
  }
  NodeReport written;
  written.set_node_id("m0");
  written.mutable_checkpoint_written()->set_steps_done(4);
  Report(written, 4);
  EXPECT_THAT(WaitFor("job-1", DONE).losses(), ::testing::ElementsAre(1, 2, 3, 4));
}

TEST_F(ControllerServiceTest, StopsWhileCallsAndWatchersWait) {
  nodes_.HoldPrepare();
  RegisterAll();
  ASSERT_TRUE(Submit(TestJob(), "one").ok());
  WaitFor("job-1", PREPARING);
  grpc::ClientContext context;
  const auto stream = stub_->Watch(&context, Ref("job-1"));
  JobStatus status;
  ASSERT_TRUE(stream->Read(&status));
  StopController();
  while (stream->Read(&status)) {  // what was on its way
  }
  EXPECT_FALSE(stream->Finish().ok());
  StartController();
  EXPECT_EQ(Get("job-1")->reason(), "the controller was restarted");
}

TEST_F(ControllerServiceTest, RefusesWhatCannotRunWithTheReason) {
  JobSpec job = TestJob();
  job.mutable_training()->set_global_batch(9);
  job.mutable_training()->set_micro_batch(2);
  const auto odd = Submit(job, "odd");
  EXPECT_EQ(odd.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(odd.status().message(), HasSubstr("training.global_batch"));
  job = TestJob();
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(1 << 10);
  EXPECT_EQ(Submit(job, "tight").status().code(), absl::StatusCode::kResourceExhausted);
  job = TestJob();
  job.mutable_checkpoint()->set_from(dir_ + "/nothing");
  EXPECT_THAT(Submit(job, "from").status().message(), HasSubstr("checkpoint.from"));
  EXPECT_THAT(Submit(TestJob(), "").status().message(), HasSubstr("request_id"));
  EXPECT_TRUE(absl::IsNotFound(Get("job-1").status()));
}

// Each submission has a fate of its own: the job is made, or refused, once.
TEST_F(ControllerServiceTest, ARequestIdStandsForOneJob) {
  JobSpec other = TestJob();
  other.mutable_training()->set_steps(5);
  // Many at once: whoever comes first makes it, the others are told the same or refused.
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<JobStatus>> answers(16, absl::UnknownError(""));
  for (size_t i = 0; i < answers.size(); ++i) {
    threads.emplace_back([&, i] {
      SubmitRequest request;
      request.set_request_id("lark");
      *request.mutable_job() = i % 2 == 0 ? TestJob() : other;
      grpc::ClientContext context;
      JobStatus reply;
      const absl::Status status = ToAbsl(stub_->Submit(&context, request, &reply));
      answers[i] = status.ok() ? absl::StatusOr<JobStatus>(reply) : status;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto job = Get("job-1");
  ASSERT_TRUE(job.ok()) << job.status();
  for (size_t i = 0; i < answers.size(); ++i) {
    const bool same = job->steps() == (i % 2 == 0 ? TestJob() : other).training().steps();
    if (same) {
      ASSERT_TRUE(answers[i].ok()) << answers[i].status();
      EXPECT_EQ(answers[i]->job_id(), job->job_id());
    } else {
      EXPECT_EQ(answers[i].status().code(), absl::StatusCode::kAlreadyExists);
      EXPECT_THAT(answers[i].status().message(),
                  AllOf(HasSubstr("lark"), HasSubstr(job->job_id()), HasSubstr("training.steps")));
    }
  }
  StopController();
  StartController();
  JobSpec mine = TestJob();
  mine.mutable_training()->set_steps(job->steps());
  EXPECT_EQ(Submit(mine, "lark")->job_id(), job->job_id());
  mine.set_name("another");
  EXPECT_EQ(Submit(mine, "lark").status().code(), absl::StatusCode::kAlreadyExists);
  grpc::ClientContext context;
  JobList list;
  ASSERT_TRUE(stub_->List(&context, {}, &list).ok());
  EXPECT_EQ(list.jobs_size(), 1);
}

// From its admission to its end, also while no controller is there but the job goes on.
TEST_F(ControllerServiceTest, AFolderIsThatOfOneLiveJob) {
  JobSpec job = TestJob();
  job.mutable_checkpoint()->set_dir(dir_ + "/nest");
  const auto first = Submit(job, "one");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto refusal = [&](const std::string& request_id) {
    const absl::Status status = Submit(job, request_id).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal("two"), AllOf(HasSubstr("checkpoint.dir: " + dir_ + "/nest is in use"),
                                    HasSubstr(first->job_id())));
  StopController();
  StartController();
  EXPECT_THAT(refusal("three"), HasSubstr(first->job_id()));
  EXPECT_EQ(Submit(job, "one")->job_id(), first->job_id());
  grpc::ClientContext context;
  JobStatus status;
  ASSERT_TRUE(stub_->Cancel(&context, Ref("job-1"), &status).ok());
  // The claim goes behind the answer.
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  absl::StatusOr<JobStatus> next = absl::UnknownError("");
  for (int i = 0; !next.ok() && absl::Now() < deadline; ++i) {
    next = Submit(job, absl::StrCat("next-", i));
  }
  EXPECT_TRUE(next.ok()) << next.status();
}

TEST_F(ControllerServiceTest, AJobIsMeantByTheBeginningOfItsId) {
  std::vector<std::string> ids;
  for (int i = 1; i <= 11; ++i) ids.push_back(Submit(TestJob(), absl::StrCat(i))->job_id());
  EXPECT_EQ(Get("job-1")->job_id(), ids[0]);
  EXPECT_EQ(Get("job-11")->job_id(), ids[10]);
  EXPECT_EQ(Get(ids[4].substr(0, ids[4].size() - 1))->job_id(), ids[4]);
  EXPECT_TRUE(absl::IsNotFound(Get("job-12").status()));
  EXPECT_TRUE(absl::IsNotFound(Get("").status()));
  const absl::Status several = Get("job").status();
  EXPECT_TRUE(absl::IsInvalidArgument(several));
  EXPECT_THAT(several.message(), AllOf(HasSubstr("11"), HasSubstr(ids[10])));

  grpc::ClientContext cancel, resume, events, list;
  JobStatus status;
  ASSERT_TRUE(stub_->Cancel(&cancel, Ref("job-2"), &status).ok());
  EXPECT_EQ(status.job_id(), ids[1]);
  EXPECT_EQ(status.state(), CANCELLED);
  EventList happened;
  ASSERT_TRUE(stub_->Events(&events, Ref("job-2"), &happened).ok());
  EXPECT_EQ(happened.events_size(), 2);
  ResumeRequest request;
  request.set_job_id("job-3");
  EXPECT_THAT(stub_->Resume(&resume, request, &status).error_message(), HasSubstr(ids[2]));
  WaitFor("job-2", CANCELLED);
  JobList jobs;
  ASSERT_TRUE(stub_->List(&list, {}, &jobs).ok());
  ASSERT_EQ(jobs.jobs_size(), 11);
  for (int i = 0; i < 11; ++i) EXPECT_EQ(jobs.jobs(i).job_id(), ids[10 - i]);
}

TEST_F(ControllerServiceTest, NodesOfTheNextReleaseAreWelcome) {
  const uint32_t mine = NewestProtocol();
  RegisterReply reply;
  ASSERT_TRUE(Register("w0", WAFER, {mine, mine + 1}, &reply).ok());
  EXPECT_EQ(reply.protocol(), mine);
  grpc::ClientContext context;
  NodeList list;
  ASSERT_TRUE(stub_->ListNodes(&context, {}, &list).ok());
  ASSERT_EQ(list.nodes_size(), 1);
  EXPECT_EQ(list.nodes(0).version(), "0.2.0");
  EXPECT_EQ(list.nodes(0).protocol(), mine);
}

TEST_F(ControllerServiceTest, RefusesNodesWithoutAProtocolInCommon) {
  const uint32_t mine = NewestProtocol();
  const absl::Status status = Register("w0", WAFER, {mine + 1, mine + 2});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(
      status.message(),
      absl::StrCat("node w0 (version 0.2.0) speaks protocol ", mine + 1, " to ", mine + 2,
                   ", and this controller (version ", Version(), ") ", OwnProtocols().ToString(),
                   ": upgrade this controller (version ", Version(), ") first"));
  grpc::ClientContext beat_context, nodes_context;
  HeartbeatRequest beat;
  beat.set_node_id("w0");
  HeartbeatReply beat_reply;
  EXPECT_EQ(stub_->Heartbeat(&beat_context, beat, &beat_reply).error_code(),
            grpc::StatusCode::NOT_FOUND);
  NodeList list;
  ASSERT_TRUE(stub_->ListNodes(&nodes_context, {}, &list).ok());
  EXPECT_EQ(list.nodes_size(), 0);
}

TEST_F(ControllerServiceTest, ReadsALogFromItsNode) {
  ASSERT_TRUE(Register("w0", WAFER).ok());
  NodeLogRequest request;
  request.set_node_id("w0");
  request.set_bytes_max(100);
  ReadLogReply reply;
  grpc::ClientContext context, unknown_context;
  ASSERT_TRUE(stub_->ReadNodeLog(&context, request, &reply).ok());
  EXPECT_EQ(reply.text(), "the last 100 bytes");
  request.set_node_id("w9");
  EXPECT_EQ(stub_->ReadNodeLog(&unknown_context, request, &reply).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

// Named, and before whoever asked has given up.
TEST_F(ControllerServiceTest, SaysWhichNodeDoesNotAnswerForItsLog) {
  ASSERT_TRUE(Register("w0", WAFER).ok());
  node_server_->Shutdown();
  NodeLogRequest request;
  request.set_node_id("w0");
  ReadLogReply reply;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  EXPECT_THAT(stub_->ReadNodeLog(&context, request, &reply).error_message(),
              HasSubstr(absl::StrCat("node w0 at 127.0.0.1:", node_port_)));
}

TEST_F(ControllerServiceTest, WatchingAnUnknownJobIsNotFound) {
  grpc::ClientContext context;
  const auto stream = stub_->Watch(&context, Ref("job-9"));
  JobStatus status;
  EXPECT_FALSE(stream->Read(&status));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ControllerServiceTest, WatchersAreBoundedAndLeaveRoomWhenTheyGo) {
  ASSERT_TRUE(Submit(TestJob(), "one").ok());
  struct Watcher {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<JobStatus>> stream;
  };
  std::vector<std::unique_ptr<Watcher>> watchers;
  JobStatus status;
  for (size_t i = 0; i < StatusBoard::kWatchersMax; ++i) {
    watchers.push_back(std::make_unique<Watcher>());
    watchers.back()->stream = stub_->Watch(&watchers.back()->context, Ref("job-1"));
    ASSERT_TRUE(watchers.back()->stream->Read(&status));
  }
  grpc::ClientContext context;
  const auto extra = stub_->Watch(&context, Ref("job-1"));
  EXPECT_FALSE(extra->Read(&status));
  EXPECT_EQ(extra->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext cancel_context;
  ASSERT_TRUE(stub_->Cancel(&cancel_context, Ref("job-1"), &status).ok());
  for (auto& watcher : watchers) {
    while (watcher->stream->Read(&status)) {
    }
    EXPECT_EQ(status.state(), CANCELLED);
    EXPECT_TRUE(watcher->stream->Finish().ok());
  }
  WaitFor("job-1", CANCELLED);
}

// Every method there is, so that none is forgotten.
TEST_F(ControllerServiceTest, NoMethodServesAStranger) {
  StopController();
  credentials_ = {.secret = std::make_shared<const ClusterSecret>(
                      std::array<std::byte, ClusterSecret::kBytes>{})};
  StartController();
  EXPECT_EQ(Register("m0", MEMORYX), absl::OkStatus());
  EXPECT_THAT(
      MethodsOpenToStrangers(absl::StrCat("127.0.0.1:", port_), Controller::service_full_name()),
      IsEmpty());
}

TEST_F(ControllerServiceTest, ASecondControllerIsRefused) {
  const auto second = OpenController();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), HasSubstr("in use by another controller"));
  EXPECT_THAT(StartServer(*service_, {.port = port_}).status().message(),
              HasSubstr("cannot listen on 127.0.0.1"));
}

}  // namespace
}  // namespace waferstream
