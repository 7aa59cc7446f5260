// Whole clusters of shells in one process, with toy cores and real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "core/fault.h"
#include "node/local_node.h"
#include "node/toy_role.h"
#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

// What one node told its controller.
class Reports {
 public:
  void Add(NodeReport report) {
    absl::MutexLock lock(&mutex_);
    reports_.push_back(std::move(report));
  }
  // The first report of this kind; fails the test when none comes in time.
  NodeReport WaitFor(NodeReport::WhatCase what) {
    absl::MutexLock lock(&mutex_);
    NodeReport found;
    auto arrived = [&] {
      for (const NodeReport& report : reports_) {
        if (report.what_case() != what) continue;
        found = report;
        return true;
      }
      return false;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&arrived), absl::Seconds(20)));
    return found;
  }

 private:
  absl::Mutex mutex_;
  std::vector<NodeReport> reports_;
};

struct TestNode {
  TestNode(std::string id, Role kind, absl::Duration connect_timeout)
      : id(std::move(id)), role(kind) {
    shell = std::make_unique<LocalNode>(
        LocalNode::Options{.node_id = this->id,
                           .fabric = OverTcp({.node_id = this->id}),
                           .connect_timeout = connect_timeout},
        role, [this](NodeReport report) { reports.Add(std::move(report)); });
    const absl::Status listening = shell->Listen();
    EXPECT_TRUE(listening.ok()) << listening;
    port = shell->fabric_port();
  }

  std::string id;
  ToyRole role;
  Reports reports;
  uint16_t port = 0;
  std::unique_ptr<LocalNode> shell;  // null: the node is dead
};

void JoinAll(std::vector<std::thread>& threads) {
  for (std::thread& thread : threads) thread.join();
}

class NodeShellTest : public ::testing::Test {
 protected:
  NodeShellTest() : NodeShellTest(absl::Seconds(10)) {}
  explicit NodeShellTest(absl::Duration connect_timeout) {
    job_ = TestJob();
    // Three wafers under a fan-out of two: several tree nodes in the one SwarmX process, which
    // holds both ends of the channels between them.
    job_.mutable_cluster()->set_wafers(3);
    job_.mutable_cluster()->set_fanout(2);
    AddNode("m0", MEMORYX, connect_timeout);
    AddNode("s0", SWARMX, connect_timeout);
    for (const char* id : {"w0", "w1", "w2"}) AddNode(id, WAFER, connect_timeout);
  }

  void AddNode(const std::string& id, Role kind, absl::Duration connect_timeout) {
    nodes_.push_back(std::make_unique<TestNode>(id, kind, connect_timeout));
  }

  PrepareRequest RequestFor(size_t node, uint32_t epoch = 1) {
    PrepareRequest request;
    request.set_job_id("job");
    request.set_epoch(epoch);
    *request.mutable_job() = job_;
    request.set_role(nodes_[node]->role.kind());
    request.set_index(node < 2 ? 0 : static_cast<uint32_t>(node) - 2);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Roster* roster = request.mutable_roster();
      Member* member = i == 0   ? roster->add_memoryx()
                       : i == 1 ? roster->add_swarmx()
                                : roster->add_wafers();
      member->set_node_id(nodes_[i]->id);
      member->set_host("127.0.0.1");
      member->set_fabric_port(nodes_[i]->port);
    }
    request.set_plan_hash(Compile(job_, {.wafers = 3, .memoryx = 1, .swarmx = 1})->Hash());
    return request;
  }

  static EpochRef Ref(uint32_t epoch = 1) {
    EpochRef ref;
    ref.set_job_id("job");
    ref.set_epoch(epoch);
    return ref;
  }

  void PrepareAll(uint32_t epoch = 1) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const auto reply = nodes_[i]->shell->Prepare(RequestFor(i, epoch));
      ASSERT_TRUE(reply.ok()) << nodes_[i]->id << ": " << reply.status();
    }
  }
  void ConnectAll(uint32_t epoch = 1, int times = 1) {
    std::vector<std::thread> threads;
    for (auto& node : nodes_) {
      for (int i = 0; i < times; ++i) {
        threads.emplace_back([&node, epoch] {
          const absl::Status status = node->shell->Connect(Ref(epoch));
          EXPECT_TRUE(status.ok()) << node->id << ": " << status;
        });
      }
    }
    JoinAll(threads);
  }
  void StartAll(uint32_t epoch = 1) {
    for (auto& node : nodes_) ASSERT_TRUE(node->shell->Start(Ref(epoch)).ok());
  }
  void ReleaseAll(uint32_t epoch = 1) {
    for (auto& node : nodes_) EXPECT_TRUE(node->shell->Release(Ref(epoch)).ok());
    for (auto& node : nodes_) EXPECT_EQ(node->role.state.cores, 0) << node->id;
  }
  TestNode& memoryx() { return *nodes_[0]; }
  TestNode& swarmx() { return *nodes_[1]; }
  TestNode& wafer() { return *nodes_[2]; }

  JobSpec job_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
};

TEST_F(NodeShellTest, FramesFlowOnEveryChannelOfEveryNode) {
  const auto plan = Compile(job_, {.wafers = 3, .memoryx = 1, .swarmx = 1});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_GT(plan->tree_nodes.size(), 1u) << "the SwarmX process must dial itself";
  PrepareAll();
  ConnectAll();
  StartAll();
  for (auto& node : nodes_) {
    const NodeReport report = node->reports.WaitFor(NodeReport::kWaferStep);
    EXPECT_EQ(report.job_id(), "job");
    EXPECT_EQ(report.epoch(), 1u);
    EXPECT_EQ(report.sequence(), 0u);
  }
  ReleaseAll();
}

TEST_F(NodeShellTest, SaysWhatItHoldsWhateverItIsDoing) {
  EXPECT_FALSE(wafer().shell->holds().has_value());
  ASSERT_TRUE(wafer().shell->Prepare(RequestFor(2)).ok());
  EXPECT_EQ(wafer().shell->holds()->job_id(), "job");
  EXPECT_EQ(wafer().shell->holds()->epoch(), 1u);

  absl::Notification prepare_runs, go_on;
  wafer().role.state.during_prepare = [&] {
    prepare_runs.Notify();
    go_on.WaitForNotification();
  };
  std::thread prepare([&] { EXPECT_TRUE(wafer().shell->Prepare(RequestFor(2, 2)).ok()); });
  prepare_runs.WaitForNotification();
  EXPECT_EQ(wafer().shell->holds()->epoch(), 1u);  // asked by the heartbeat: does not wait
  go_on.Notify();
  prepare.join();
  EXPECT_EQ(wafer().shell->holds()->epoch(), 2u);

  EXPECT_TRUE(wafer().shell->Release(Ref(1)).ok());  // late
  EXPECT_EQ(wafer().shell->holds()->epoch(), 2u);
  EXPECT_TRUE(wafer().shell->Release(Ref(2)).ok());
  EXPECT_FALSE(wafer().shell->holds().has_value());
  // A Prepare that comes late, when its epoch was released, is served and said, so that somebody
  // releases it again.
  wafer().role.state.during_prepare = [] {};
  ASSERT_TRUE(wafer().shell->Prepare(RequestFor(2, 2)).ok());
  EXPECT_EQ(wafer().shell->holds()->epoch(), 2u);
  EXPECT_TRUE(wafer().shell->Release(Ref(2)).ok());
}

TEST_F(NodeShellTest, EveryCallMayComeTwiceTheSecondDuringTheFirst) {
  absl::Notification prepare_runs, go_on;
  wafer().role.state.during_prepare = [&] {
    prepare_runs.Notify();
    go_on.WaitForNotification();
  };
  absl::StatusOr<PrepareReply> first, second;
  std::vector<std::thread> threads;
  threads.emplace_back([&] { first = wafer().shell->Prepare(RequestFor(2)); });
  prepare_runs.WaitForNotification();
  threads.emplace_back([&] { second = wafer().shell->Prepare(RequestFor(2)); });
  go_on.Notify();
  JoinAll(threads);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->resident_bytes(), second->resident_bytes());
  EXPECT_EQ(wafer().role.state.prepared, 1);

  PrepareAll();
  ConnectAll(/*epoch=*/1, /*times=*/2);
  ConnectAll();
  StartAll();
  StartAll();
  for (auto& node : nodes_) {
    node->reports.WaitFor(NodeReport::kWaferStep);
    EXPECT_EQ(node->role.state.started, 1);
    EXPECT_EQ(node->role.state.prepared, 1);
  }
  CommitRequest commit;
  commit.set_job_id("job");
  commit.set_epoch(1);
  for (const uint64_t step : {0, 0, 1, 0, 1}) {
    commit.set_step(step);
    EXPECT_TRUE(memoryx().shell->Commit(commit).ok());
  }
  EXPECT_EQ(memoryx().role.state.commits, 2);
  ReleaseAll();
  ReleaseAll();
}

TEST_F(NodeShellTest, CallsOutOfOrderAreRefused) {
  LocalNode& shell = *wafer().shell;
  EXPECT_EQ(shell.Connect(Ref()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(shell.Release(Ref()).ok()) << "of something unknown";
  ASSERT_TRUE(shell.Prepare(RequestFor(2, /*epoch=*/3)).ok());
  EXPECT_EQ(shell.Start(Ref(3)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(shell.Start(Ref(3)).message()),
              HasSubstr("Start before Connect: not open: channel "));
  EXPECT_EQ(shell.Start(Ref(2)).message(), "job job epoch 2 is not prepared here");
  EXPECT_EQ(shell.Prepare(RequestFor(2, 2)).status().message(),
            "epoch 2 is older than job job epoch 3");
  EXPECT_TRUE(shell.Release(Ref(2)).ok());
  EXPECT_EQ(wafer().role.state.cores, 1) << "the newer one stays";
  PrepareRequest changed = RequestFor(2, 3);
  changed.set_start_step(1);
  EXPECT_EQ(shell.Prepare(changed).status().message(),
            "job job epoch 3 is already prepared with another content");
}

TEST_F(NodeShellTest, PrepareRefusesWhatIsNotForThisNode) {
  PrepareRequest other_plan = RequestFor(2);
  other_plan.set_plan_hash(1);
  const absl::Status differs = wafer().shell->Prepare(other_plan).status();
  EXPECT_EQ(differs.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(differs.message()), HasSubstr("plan differs"));
  EXPECT_THAT(std::string(differs.message()), HasSubstr("same build?"));
  EXPECT_EQ(wafer().shell->Prepare(RequestFor(0)).status().message(),
            "node w0 is a WAFER node, not a MEMORYX");
  EXPECT_EQ(wafer().shell->Prepare(RequestFor(3)).status().message(),
            "entry 1 of the roster is not node w0");
  EXPECT_EQ(wafer().role.state.prepared, 0);
}

TEST_F(NodeShellTest, ANewerEpochReleasesTheOlder) {
  PrepareAll(1);
  ConnectAll(1);
  StartAll(1);
  PrepareAll(2);
  for (auto& node : nodes_) EXPECT_EQ(node->role.state.cores, 1);
  ConnectAll(2);
  StartAll(2);
  for (auto& node : nodes_) EXPECT_EQ(node->role.state.started, 2);
  ReleaseAll(2);
}

TEST_F(NodeShellTest, ConnectWaitsForAPeerThatIsPreparedLater) {
  std::vector<std::thread> threads;
  ASSERT_TRUE(wafer().shell->Prepare(RequestFor(2)).ok());
  threads.emplace_back([&] {
    const absl::Status status = wafer().shell->Connect(Ref());
    EXPECT_TRUE(status.ok()) << status;
  });
  PrepareAll();
  ConnectAll();
  JoinAll(threads);
  ReleaseAll();
}

TEST_F(NodeShellTest, ReleaseEndsAConnectThatWaits) {
  ASSERT_TRUE(wafer().shell->Prepare(RequestFor(2)).ok());
  absl::Status connected;
  std::vector<std::thread> threads;
  threads.emplace_back([&] { connected = wafer().shell->Connect(Ref()); });
  EXPECT_TRUE(wafer().shell->Release(Ref()).ok());
  JoinAll(threads);
  // Released while it waited, or before it began.
  EXPECT_TRUE(absl::IsCancelled(connected) || absl::IsFailedPrecondition(connected)) << connected;
}

class ImpatientShellTest : public NodeShellTest {
 protected:
  ImpatientShellTest() : NodeShellTest(absl::Milliseconds(300)) {}
};

TEST_F(ImpatientShellTest, ConnectNamesThePeerThatDoesNotCome) {
  ASSERT_TRUE(wafer().shell->Prepare(RequestFor(2)).ok());
  const absl::Status dialling = wafer().shell->Connect(Ref());
  EXPECT_EQ(dialling.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(dialling.message()), HasSubstr("to node s0"));

  ASSERT_TRUE(memoryx().shell->Prepare(RequestFor(0)).ok());
  const absl::Status waiting = memoryx().shell->Connect(Ref());
  EXPECT_EQ(waiting.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(waiting.message()), HasSubstr("from node s0"));

  // Nothing is lost: once everybody is there, the same epoch connects.
  PrepareAll();
  ConnectAll();
  ReleaseAll();
}

TEST_F(NodeShellTest, ADeadPeerIsNamedAndTheOthersStayUp) {
  for (auto& node : nodes_) node->role.state.rounds = uint64_t{1} << 40;  // never done
  PrepareAll();
  ConnectAll();
  StartAll();
  nodes_.back()->shell = nullptr;
  const NodeReport report = swarmx().reports.WaitFor(NodeReport::kFault);
  EXPECT_EQ(report.fault().peer(), "w2");
  EXPECT_THAT(report.fault().message(), HasSubstr("with node w2: "));
  const NodeReport above = memoryx().reports.WaitFor(NodeReport::kFault);
  EXPECT_EQ(above.fault().peer(), "s0") << "s0 has stopped its epoch and closed its channels";

  CommitRequest commit;
  commit.set_job_id("job");
  commit.set_epoch(1);
  EXPECT_THAT(std::string(memoryx().shell->Commit(commit).message()),
              HasSubstr("epoch 1 has stopped: channel "));
  AddNode("w3", WAFER, absl::Seconds(10));
  nodes_.erase(nodes_.end() - 2);
  for (auto& node : nodes_) node->role.state.rounds = 5;
  PrepareAll(2);
  ConnectAll(2);
  StartAll(2);
  for (auto& node : nodes_) node->reports.WaitFor(NodeReport::kWaferStep);
  ReleaseAll(2);
}

TEST_F(NodeShellTest, AnErrorOfTheCoreIsAFaultWithoutPeer) {
  wafer().role.state.during_work = [] { return absl::InternalError("the numbers are off"); };
  PrepareAll();
  ConnectAll();
  StartAll();
  const NodeReport report = wafer().reports.WaitFor(NodeReport::kFault);
  EXPECT_EQ(report.fault().message(), "the numbers are off");
  EXPECT_EQ(report.fault().peer(), "");
  ReleaseAll();
}

TEST_F(NodeShellTest, AFaultThatTheCoreNamesIsPassedOn) {
  NodeFault fault;
  fault.set_message("shard 2 is damaged");
  fault.add_damaged_shards(2);
  wafer().role.state.during_work = [&] { return FaultStatus(absl::StatusCode::kDataLoss, fault); };
  PrepareAll();
  ConnectAll();
  StartAll();
  const NodeReport report = wafer().reports.WaitFor(NodeReport::kFault);
  EXPECT_EQ(report.fault().message(), "shard 2 is damaged");
  EXPECT_THAT(report.fault().damaged_shards(), testing::ElementsAre(2));
  ReleaseAll();
}

TEST_F(NodeShellTest, TheCoreLivesUntilItsWorkHasEnded) {
  absl::Notification work_runs, go_on;
  std::atomic<bool> first{true};
  wafer().role.state.during_work = [&] {
    if (!first.exchange(false)) return absl::OkStatus();
    work_runs.Notify();
    go_on.WaitForNotification();
    return absl::OkStatus();
  };
  PrepareAll();
  ConnectAll();
  StartAll();
  work_runs.WaitForNotification();
  std::vector<std::thread> threads;
  threads.emplace_back([&] { EXPECT_TRUE(wafer().shell->Release(Ref()).ok()); });
  swarmx().reports.WaitFor(NodeReport::kFault);  // by now w0 has closed its channels
  EXPECT_EQ(wafer().role.state.cores, 1);
  go_on.Notify();
  JoinAll(threads);
  EXPECT_EQ(wafer().role.state.cores, 0);
  EXPECT_FALSE(wafer().role.state.died_at_work);
}

TEST_F(NodeShellTest, SealGoesToTheRoleOfThePreparedEpoch) {
  SealRequest request;
  request.set_job_id("job");
  request.set_epoch(1);
  request.set_steps_done(4);
  EXPECT_FALSE(memoryx().shell->Seal(request).ok());
  ASSERT_TRUE(memoryx().shell->Prepare(RequestFor(0)).ok());
  const auto reply = memoryx().shell->Seal(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->path(), "step-4");
}

TEST_F(NodeShellTest, AfterShutdownNothingIsPrepared) {
  ASSERT_TRUE(wafer().shell->Prepare(RequestFor(2)).ok());
  wafer().shell->Shutdown();
  EXPECT_EQ(wafer().role.state.cores, 0);
  EXPECT_EQ(wafer().shell->Prepare(RequestFor(2)).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace waferstream
