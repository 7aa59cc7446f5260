// The controller of a simulated cluster: the production host and job store on virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/disk.h"
#include "controller/controller_host.h"
#include "controller/job_store.h"
#include "proto/controller.pb.h"
#include "sim/sim_controller_calls.h"
#include "sim/sim_node.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

// The store outlives every life of the process: it has what was written, each transaction all or
// not at all, but for the last steps, if the machine ends with the process before they are durable.
class SimControllerHost final : public SimControllerService {
 public:
  // `files`: see ControllerWorld; outlives it, as the world does.
  SimControllerHost(SimWorld& world, Disk& files);
  ~SimControllerHost() override;

  // Where calls to nodes go; the node outlives the host's lives.
  void AddNode(SimNode& node) { nodes_.push_back(&node); }

  // Whether users reach it.
  bool answers() const { return process_.alive() && !process_.frozen(); }

  // A new life, from what is in the store.
  void Boot();
  void Kill();
  // The machine ends while the next commit is on its way to the disk, and is back after `for_ns`.
  void EndMachineAtCommit(int64_t for_ns);

  // What users ask for; only when it answers. A job is submitted once, however often it is asked
  // for with the same id. `done` may never come, if the process ends.
  using Submitted = std::function<void(const absl::StatusOr<JobStatus>&)>;
  void Submit(const std::string& request_id, const JobSpec& job, Submitted done);
  void Resume(const ResumeRequest& request);
  void Cancel(const std::string& job_id);
  void Cordon(const std::string& node_id, CordonRequest::Action action,
              std::function<void(const absl::Status&)> done);

  // What is on record of the job with this request_id; nullopt: nothing.
  std::optional<JobStatus> OnRecord(const std::string& request_id);
  // Whether users see the job paused, on record or not yet; only when it answers.
  bool ShowsPaused(const std::string& job_id) const;
  // In order of step.
  std::vector<CommitRecord> Commits(const std::string& job_id);
  // In this life: of all jobs.
  StatusBoard& board();
  NodeList Nodes() const;

  // SimControllerService
  SimProcess& process() override { return process_; }
  ControllerCalls& calls() override;

 private:
  struct Life;

  absl::Status Write(const std::vector<StoreRecord>& records);
  absl::Status WriteAhead(const std::vector<StoreRecord>& records);
  absl::Status Sync();
  void EndMachine(int64_t for_ns);
  void LoseWhatIsNotDurable();
  // Whether the disk refuses now.
  bool Refuses();
  void CheckCommits(const std::vector<StoreRecord>& records);
  void ForgetAmended(const JobStatus& job);

  SimWorld& world_;
  Disk& files_;
  SimProcess process_;
  std::vector<SimNode*> nodes_;
  std::unique_ptr<JobStore> store_;
  int64_t store_bad_until_ns_ = 0;
  std::vector<CommitRecord> written_;                             // since the last Sync
  std::optional<int64_t> ends_for_ns_;                            // at the next commit
  std::map<std::pair<std::string, uint64_t>, double> committed_;  // loss by (job, step)
  std::map<std::string, int> amendments_;                         // seen, by job
  std::unique_ptr<Life> life_;                                    // null: dead
};

}  // namespace waferstream
