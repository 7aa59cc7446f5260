// Test only: MemoryX roles for one epoch, and everything around them played by a script.
//
// The script is the tree roots, the wafers, the controller and the shells at once. Whatever may
// happen next happens in an order drawn from a seed: a lane finishes its front job, a sent tile is
// let go, a slot is granted, a gradient block or a copy arrives, a commit is made, a node hears of
// it, a checkpoint is sealed. Every tile sent is compared with the oracle's, when it is sent and
// again when it is let go; every frame is preceded by false ones, which must be refused.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/role_core.h"
#include "memoryx/eager_trainer.h"
#include "memoryx/memoryx_role.h"
#include "plan/pass.h"
#include "plan/plan.h"

namespace waferstream {

class ScriptedCluster {
 public:
  static constexpr uint32_t kEpoch = 5;

  // One for each process; they live on from epoch to epoch.
  using Roles = std::vector<std::shared_ptr<MemoryxRole>>;
  static Roles NewRoles(int processes, Disk& disk,
                        const MemoryxRole::MakeFaults& make_faults = nullptr);

  // A core that ended its epoch.
  struct Failure {
    int process;
    NodeFault fault;
  };

  struct Options {
    uint64_t seed = 1;
    uint64_t start_step = 0;
    uint32_t epoch = kEpoch;
    bool keep = false;
    std::optional<CommitRequest> last_commit = std::nullopt;
    std::string restore = "";
    bool checkpoint_now = false;
    std::map<std::pair<int, int>, size_t> filled_tiles = {};  // by (shard, process that fills it)
  };

  // Prepares every role; all must agree.
  ScriptedCluster(const Plan& plan, const EagerTrainer& oracle, Roles roles, Options options);
  // With roles of its own, on the real disk.
  ScriptedCluster(const Plan& plan, const EagerTrainer& oracle, uint64_t start_step, uint64_t seed);

  static PrepareRequest RequestFor(int process, const Options& options);

  // Runs until the job is done, every due checkpoint is written and every shard filled; false (with
  // a failed expectation) when nothing can happen any more before that.
  bool Run();
  // Lets at most so many things happen; false: everything has happened, or a core has failed.
  bool RunFor(int events);
  // Ends the epoch in the middle of everything, as the shell does: work that has begun on a lane
  // ends and is not heard of, the rest never begins.
  void Stop();

  // Disks finish a job, and fabrics let a sent tile go, only when nothing else can happen: streams
  // have to wait for both.
  bool slow_edges = false;
  // So do nodes hear of a commit: some go far ahead of others.
  bool slow_commits = false;
  // So do copies arrive: commits overtake them.
  bool slow_copies = false;
  // What is sent may be wrong, and a core may fail, because something was damaged.
  bool damaged = false;
  // Called before each commit.
  std::function<void(uint64_t step)> before_commit = [](uint64_t) {};

  uint64_t committed() const { return committed_; }
  // The newest, if there was one in this epoch.
  const std::optional<CommitRequest>& last_commit() const { return last_commit_; }
  const std::map<uint64_t, SealReply>& sealed() const { return sealed_; }  // by steps done
  const std::vector<std::string>& checkpoint_errors() const { return checkpoint_errors_; }
  const std::set<std::pair<int, int>>& filled() const { return filled_; }  // process, shard
  // How far fills that have not ended are: by (shard, process).
  const std::map<std::pair<int, int>, size_t>& filling() const { return filling_; }
  const std::optional<Failure>& failure() const { return failure_; }
  size_t resident_bytes() const { return resident_bytes_; }  // of all processes

 private:
  struct Node {
    std::unique_ptr<RoleCore> core;
    std::deque<ComputeAction> lanes[2];
    std::optional<CommitRequest> to_hear;
  };
  struct Sent {
    int process;
    SendAction send;
  };
  struct Port {
    int process;
    std::vector<FrameHeader> tiles;  // all that are to come
    size_t received = 0;
    std::deque<FrameHeader> gradients;  // ready to be sent up
    CreditBalance gradient_credit;
    std::vector<SlotClass> to_grant;
  };
  // A channel on which a shard is copied.
  struct Copies {
    std::deque<SendAction> on_their_way;
    std::deque<Credit> to_grant;  // on the way back
  };
  using Choice = std::function<void()>;

  void PrepareNode(int process);
  void ExpectTiles();
  void Start();
  std::vector<Choice> Choices();
  void AddLanes(std::vector<Choice>& choices, std::vector<Choice>& slow);
  void AddTraffic(std::vector<Choice>& choices);
  void AddCopies(std::vector<Choice>& choices, std::vector<Choice>& slow);
  void AddController(std::vector<Choice>& choices, std::vector<Choice>& slow);
  void Handle(int process, Turn turn);
  void RunLane(int process, std::deque<ComputeAction>& lane);
  void LetGo(size_t index);
  void OnSend(int process, const SendAction& send);
  void OnCopy(const SendAction& send);
  void OnReport(int process, const NodeReport& report);
  void CheckPayload(const SendAction& send) const;
  void CheckCopy(const SendAction& send) const;
  // Makes the gradients of each wave whose backward pass has arrived everywhere.
  void MakeGradients();
  void SendGradient(ChannelId channel, Port& port);
  void DeliverCopy(ChannelId channel, Copies& copies);
  void ExpectRefused(RoleCore& core, ChannelId channel, const FrameHeader& good);
  void Commit();
  void Hear(int process);
  void HearAgain(int process, const CommitRequest& request);
  void Seal(uint64_t steps_done);
  bool done() const;

  const Plan& plan_;
  const EagerTrainer& oracle_;
  const Roles roles_;
  const Options options_;
  std::mt19937_64 random_;
  std::vector<Node> nodes_;
  std::map<ChannelId, Port> ports_;
  std::map<ChannelId, Copies> copies_;
  std::vector<Sent> sent_;
  std::map<uint64_t, size_t> backward_tiles_;  // arrived so far, by wave counted from step 0
  uint64_t next_wave_;                         // whose gradients are to be made next
  uint64_t committed_;
  std::optional<CommitRequest> last_commit_;
  bool started_ = false;
  uint64_t ready_ = 0;               // nodes whose gradients of this step are complete
  std::map<uint64_t, int> written_;  // checkpoints: nodes that are done, by steps done
  std::map<uint64_t, SealReply> sealed_;
  std::vector<std::string> checkpoint_errors_;
  std::set<std::pair<int, int>> filled_;
  std::map<std::pair<int, int>, size_t> filling_;
  std::optional<Failure> failure_;
  size_t resident_bytes_ = 0;
};

// The checkpoint holds exactly the oracle's bits after so many steps.
void ExpectCheckpoint(Disk& disk, const Plan& plan, const EagerTrainer& oracle,
                      const SealReply& sealed, uint64_t steps);

}  // namespace waferstream
