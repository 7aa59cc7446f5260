// The host on a loop and lanes that move only when they are told.
#include "controller/controller_host.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "checkpoint/memory_disk.h"

namespace waferstream {
namespace {

class TestLoop final : public Loop {
 public:
  void Post(Work work) override { due_.emplace(now_s_, std::move(work)); }
  void After(absl::Duration delay, Work work) override {
    due_.emplace(now_s_ + absl::ToDoubleSeconds(delay), std::move(work));
  }
  double now_s() const override { return now_s_; }

  // Lets what is due by then happen.
  void Pass(double seconds) {
    const double end_s = now_s_ + seconds;
    while (!due_.empty() && due_.begin()->first <= end_s) {
      auto first = due_.extract(due_.begin());
      now_s_ = first.key();
      first.mapped()();
    }
    now_s_ = end_s;
  }

 private:
  double now_s_ = 1000;
  std::multimap<double, Work> due_;
};

// Work that is done when the test says so.
class TestLanes final : public Lanes {
 public:
  explicit TestLanes(Loop& loop) : loop_(loop) {}

  std::unique_ptr<LaneRunner> Make(const LaneTerms&, LaneRunner::Done done) override {
    class Runner final : public LaneRunner {
     public:
      Runner(TestLanes& all, Done done) : all_(all), done_(std::move(done)) {}
      void Run(ComputeAction action) override {
        all_.waiting_.push_back([this, action = std::move(action)] {
          Serial serial;
          all_.loop_.Post(
              [this, id = action.id, status = action.work(serial)] { done_(id, status); });
        });
      }
      int Drop() override { return 0; }

     private:
      TestLanes& all_;
      const Done done_;
    };
    return std::make_unique<Runner>(*this, std::move(done));
  }

  size_t waiting() const { return waiting_.size(); }
  void RunOne() {
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    work();
  }

 private:
  Loop& loop_;
  std::deque<std::function<void()>> waiting_;
};

class NoNodes final : public NodeCalls {
 public:
  void Make(NodeCall, std::function<void(NodeCallResult)>) override {}
  void CancelAll() override {}
};

class ControllerHostTest : public testing::Test {
 protected:
  void SetUp() override {
    host_ = std::make_unique<ControllerHost>(
        ControllerWorld{.loop = loop_,
                        .lanes = lanes_,
                        .nodes = nodes_,
                        .store = *store_,
                        .write =
                            [this](const std::vector<StoreRecord>& records) {
                              return disk_.ok() ? store_->Write(records) : disk_;
                            },
                        .files = files_,
                        .unix_s = [] { return 1.7e9; },
                        .random_bits = [] { return uint64_t{1}; },
                        .log = [](const std::string&) {}},
        ControllerHost::Options{.state_dir = "/state", .store_patience = absl::Seconds(10)});
    ASSERT_EQ(host_->Restore(), absl::OkStatus());
    RegisterRequest wafer;
    wafer.set_node_id("w0");
    wafer.set_role(WAFER);
    wafer.set_host("h");
    wafer.set_control_port(1);
    wafer.set_fabric_port(2);
    wafer.set_kernel_isa("avx2");
    wafer.set_incarnation(1);
    absl::Status registered = absl::UnknownError("not answered");
    host_->Register(
        wafer, [&](const absl::StatusOr<RegisterReply>& reply) { registered = reply.status(); });
    loop_.Pass(0);
    ASSERT_EQ(registered, absl::OkStatus());
  }

  std::optional<absl::Status>& Cordon(CordonRequest::Action action) {
    CordonRequest request;
    request.set_node_id("w0");
    request.set_action(action);
    auto& answer = answers_.emplace_back();
    host_->Cordon(request,
                  [&answer](const absl::StatusOr<NodeStatus>& node) { answer = node.status(); });
    loop_.Pass(0);
    return answer;
  }

  std::vector<CordonRecord> OnRecord() { return *store_->LoadCordons(); }

  TestLoop loop_;
  TestLanes lanes_{loop_};
  NoNodes nodes_;
  std::unique_ptr<JobStore> store_ = *JobStore::Open(":memory:");
  MemoryDisk tree_{1};
  MemoryDisk::View files_{tree_};
  absl::Status disk_;
  std::deque<std::optional<absl::Status>> answers_;
  std::unique_ptr<ControllerHost> host_;
};

TEST_F(ControllerHostTest, WhoChangesSomethingIsAnsweredOnceItIsOnRecord) {
  const auto& cordoned = Cordon(CordonRequest::CORDON);
  EXPECT_FALSE(cordoned.has_value());
  EXPECT_TRUE(OnRecord().empty());
  lanes_.RunOne();
  EXPECT_EQ(OnRecord().size(), 1u);
  loop_.Pass(0);
  EXPECT_EQ(cordoned, absl::OkStatus());
}

// Asked again it is so already, but not on record yet.
TEST_F(ControllerHostTest, WhoAsksForWhatIsBeingWrittenWaitsForIt) {
  const auto& first = Cordon(CordonRequest::CORDON);
  const auto& second = Cordon(CordonRequest::CORDON);
  EXPECT_FALSE(second.has_value());
  EXPECT_EQ(lanes_.waiting(), 1u);  // nothing more to write
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_EQ(first, absl::OkStatus());
  EXPECT_EQ(second, absl::OkStatus());
  EXPECT_EQ(Cordon(CordonRequest::CORDON), absl::OkStatus());  // at once
}

TEST_F(ControllerHostTest, ADiskThatRefusesIsAskedAgainHoweverLongThatTakes) {
  disk_ = absl::UnavailableError("full");
  const auto& cordoned = Cordon(CordonRequest::DRAIN);
  for (int i = 0; i < 100; ++i) {  // 20 s, twice the patience
    ASSERT_EQ(lanes_.waiting(), 1u);
    lanes_.RunOne();
    loop_.Pass(0.2);
  }
  EXPECT_FALSE(cordoned.has_value());
  disk_ = absl::OkStatus();
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_EQ(cordoned, absl::OkStatus());
  ASSERT_EQ(OnRecord().size(), 1u);
  EXPECT_TRUE(OnRecord()[0].draining);
}

TEST_F(ControllerHostTest, RecordsAreWrittenInTheOrderOfEvents) {
  Cordon(CordonRequest::CORDON);
  const auto& uncordoned = Cordon(CordonRequest::UNCORDON);
  EXPECT_EQ(lanes_.waiting(), 1u);  // one at a time
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_EQ(OnRecord().size(), 1u);
  EXPECT_FALSE(uncordoned.has_value());
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_TRUE(OnRecord().empty());
  EXPECT_EQ(uncordoned, absl::OkStatus());
}

TEST_F(ControllerHostTest, StopWaitsForWhatIsBeingWrittenAndNotForADiskThatRefuses) {
  disk_ = absl::UnavailableError("full");
  const auto& cordoned = Cordon(CordonRequest::CORDON);
  lanes_.RunOne();
  bool written = false;
  host_->Stop([&] { written = true; });
  loop_.Pass(0.2);
  EXPECT_FALSE(written);
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_TRUE(written);
  EXPECT_EQ(cordoned, disk_);  // whoever asked knows
}

}  // namespace
}  // namespace waferstream
