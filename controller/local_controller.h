// A controller in the production world.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "base/credentials.h"
#include "base/metrics.h"
#include "controller/controller_host.h"
#include "controller/job_store.h"
#include "controller/node_client.h"
#include "node/thread_lanes.h"

namespace waferstream {

// Role: the loop, the lanes, the store on disk, the calls to nodes, and the host that lives on
// them. Lifecycle: Open -> BeginStop -> Stop. From any thread but the loop's.
class LocalController {
 public:
  struct Options {
    std::string state_dir;
    int lease_ms = 1000;
    Quotas quotas = {};
    std::vector<std::string> roots = {};
    Credentials credentials = {};                      // for its calls to nodes
    std::function<void(const std::string& line)> log;  // from any thread
  };

  // Locks the state directory (creating it if need be) and takes up what its store holds.
  // FAILED_PRECONDITION: another controller uses it. Else: what is wrong with it, one line.
  static absl::StatusOr<std::unique_ptr<LocalController>> Open(Options options);
  ~LocalController();  // stops

  const Options& options() const { return options_; }
  ControllerHost& host() { return *host_; }
  NodeClient& nodes() { return nodes_; }
  Lanes& lanes() { return lanes_; }
  // Blocks until the loop has answered. Before Stop.
  MetricFamilies Metrics();

  // Cancels the calls to nodes; whoever asks is still answered. Before the server's end, which
  // waits for every answer.
  void BeginStop();
  // Ends the loop; records already asked for are written. After the server's end; again: nothing.
  void Stop();

 private:
  LocalController(Options options, int lock, std::unique_ptr<JobStore> store);

  const Options options_;
  const int lock_;  // file descriptor; the lock lasts as long as it is open
  const std::unique_ptr<JobStore> store_;
  AsioLoop loop_;
  ThreadLanes lanes_;
  NodeClient nodes_;
  std::unique_ptr<ControllerHost> host_;  // null: stopped
};

}  // namespace waferstream
