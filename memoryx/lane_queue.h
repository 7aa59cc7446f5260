// The core's side of its lanes: pairs each ComputeAction with what the core does when it is done.
//
// Not thread-safe: called by the core, on its executor. Only the work itself runs elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "absl/status/status.h"
#include "core/role_core.h"

namespace waferstream {

class LaneQueue {
 public:
  using Work = std::function<absl::Status(Parallel&)>;
  // What the work returned, on the core's executor; what Done returns goes back to the shell.
  using Done = std::function<absl::Status(const absl::Status&, Turn&)>;

  // `what` and `about_ns` are the ComputeAction's.
  void Run(Lane lane, const char* what, Work work, Done done, Turn& turn, uint64_t about_ns = 0);
  // The shell's OnComputeDone.
  absl::Status OnDone(uint64_t id, const absl::Status& status, Turn& turn);

  // Whether Lane::kCompute has nothing to do.
  bool idle() const { return computing_ == 0; }
  // How long Lane::kCompute has had work, until its last idle moment.
  double busy_seconds() const { return busy_s_; }

 private:
  struct Pending {
    Lane lane;
    Done done;
  };

  uint64_t next_id_ = 0;
  std::unordered_map<uint64_t, Pending> pending_;
  int computing_ = 0;        // pending on Lane::kCompute
  double busy_since_s_ = 0;  // valid while computing_ > 0
  double busy_s_ = 0;
};

}  // namespace waferstream
