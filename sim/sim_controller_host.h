// The controller of a chaos run: the production core and job store, in a shell on virtual time
// (controller/controller_host in production).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/memory_disk.h"
#include "checkpoint/ownership.h"
#include "controller/controller_core.h"
#include "controller/job_store.h"
#include "proto/controller.pb.h"
#include "sim/chaos_world.h"
#include "sim/sim_controller_calls.h"
#include "sim/sim_node.h"
#include "sim/sim_process.h"

namespace waferstream {

// The store outlives every life of the process: it has what was written, each transaction all or
// not at all. Writes are made one after the other, each takes time, and those that a crash
// overtakes are lost or, as the seed has it, the first one of them is not.
class SimControllerHost final : public SimControllerService {
 public:
  SimControllerHost(ChaosWorld& world, MemoryDisk& tree);
  ~SimControllerHost() override;

  // Where calls to nodes go; the node outlives the host's lives.
  void AddNode(SimNode& node) { nodes_.push_back(&node); }

  // Whether users reach it.
  bool answers() const { return process_.alive() && !process_.frozen(); }

  // A new life, from what is in the store.
  void Boot();
  void Kill();

  // What users ask for; only when it answers. A job is submitted once, however often it is asked
  // for with the same id.
  void Submit(const std::string& request_id, const JobSpec& job);
  void Resume(const std::string& job_id, const std::string& request_id);
  absl::Status Cordon(const std::string& node_id, CordonRequest::Action action);

  // What is on record of the job with this request_id; nullopt: nothing.
  std::optional<JobStatus> OnRecord(const std::string& request_id);
  std::vector<double> Losses(const std::string& job_id);
  NodeList Nodes() const;

  // SimControllerService
  SimProcess& process() override { return process_; }
  void Register(const RegisterRequest& request,
                std::function<void(absl::StatusOr<RegisterReply>)> done) override;
  void Heartbeat(const HeartbeatRequest& request, std::function<void(absl::Status)> done) override;
  void Report(const NodeReport& report, std::function<void(absl::Status)> done) override;

 private:
  struct Write {
    std::vector<StoreRecord> records;
    std::vector<uint64_t> tokens;
    bool must = false;  // tried again until the disk takes it
    int failures = 0;
  };
  struct OutgoingCall;

  template <typename Event>
  void Handle(Event event);
  void Perform(ControllerTurn turn);
  void SetTimer();
  void Make(NodeCall call);
  void Attempt(std::shared_ptr<OutgoingCall> call);
  RestoredState Restore();
  void BeginWrite();
  void EndWrite();
  absl::Status TryWrite(const Write& write);
  void ReleaseClaims(const std::vector<JobStatus>& published);
  void CheckCommits(const std::vector<StoreRecord>& records);
  SimNode* NodeAt(const std::string& address) const;
  Now ReadClocks() const { return {.steady_s = world_.now_s(), .unix_s = 1.7e9 + world_.now_s()}; }

  ChaosWorld& world_;
  MemoryDisk::View disk_;
  SimProcess process_;
  std::vector<SimNode*> nodes_;
  std::unique_ptr<JobStore> store_;
  std::map<std::pair<std::string, uint64_t>, double> committed_;  // loss by (job, step)

  std::unique_ptr<ControllerCore> core_;                        // null: dead
  std::map<std::string, std::unique_ptr<FolderClaim>> claims_;  // by job_id
  std::deque<Write> writes_;                                    // the first one is being made
  uint64_t timer_ = 0;  // counts timers: only the last one counts
};

}  // namespace waferstream
