// Test only: MemoryX roles, and everything around them played by a script.
//
// The script is the tree roots, the wafers, the controller and the shells at once. Whatever may
// happen next happens in an order drawn from a seed: a lane finishes its front job, a sent tile is
// let go, a slot is granted, a gradient block arrives, a commit is made, a checkpoint is sealed.
// Every tile sent is compared with the oracle's, when it is sent and again when it is let go; every
// gradient frame is preceded by false ones, which must be refused.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "memoryx/eager_trainer.h"
#include "memoryx/memoryx_role.h"
#include "node/role_core.h"
#include "plan/pass.h"
#include "plan/plan.h"

namespace waferstream {

class ScriptedCluster {
 public:
  static constexpr uint32_t kEpoch = 5;

  ScriptedCluster(const Plan& plan, const EagerTrainer& oracle, uint64_t start_step, uint64_t seed);

  // Runs until the job is done and every due checkpoint is written; false (with a failed
  // expectation) when nothing can happen any more before that.
  bool Run();

  // Disks finish a job, and fabrics let a sent tile go, only when nothing else can happen: streams
  // have to wait for both.
  bool slow_edges = false;
  // Called before each commit.
  std::function<void(uint64_t step)> before_commit = [](uint64_t) {};

  const std::map<uint64_t, SealReply>& sealed() const { return sealed_; }  // by steps done
  const std::vector<std::string>& checkpoint_errors() const { return checkpoint_errors_; }
  size_t resident_bytes() const { return resident_bytes_; }  // of all processes

 private:
  struct Node {
    std::unique_ptr<MemoryxRole> role;
    std::unique_ptr<RoleCore> core;
    std::deque<ComputeAction> lanes[2];
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
  using Choice = std::function<void()>;

  void PrepareNode(int process, uint64_t start_step);
  void ExpectTiles(uint64_t start_step);
  std::vector<Choice> Choices();
  void Handle(int process, Turn turn);
  void OnSend(int process, const SendAction& send);
  void OnReport(int process, const NodeReport& report);
  void CheckPayload(const SendAction& send) const;
  // Makes the gradients of each wave whose backward pass has arrived everywhere.
  void MakeGradients();
  void SendGradient(ChannelId channel, Port& port);
  void ExpectRefused(RoleCore& core, ChannelId channel, const FrameHeader& good);
  void Commit();
  void CommitAgain(const CommitRequest& request);
  void Seal(uint64_t steps_done);
  bool done() const;

  const Plan& plan_;
  const EagerTrainer& oracle_;
  std::mt19937_64 random_;
  std::vector<Node> nodes_;
  std::map<ChannelId, Port> ports_;
  std::vector<Sent> sent_;
  std::map<uint64_t, size_t> backward_tiles_;  // arrived so far, by wave counted from step 0
  uint64_t next_wave_;                         // whose gradients are to be made next
  uint64_t committed_;
  uint64_t ready_ = 0;               // nodes whose gradients of this step are complete
  std::vector<double> square_sums_;  // by tile
  std::map<uint64_t, int> written_;  // checkpoints: nodes that are done, by steps done
  std::map<uint64_t, SealReply> sealed_;
  std::vector<std::string> checkpoint_errors_;
  size_t resident_bytes_ = 0;
};

}  // namespace waferstream
