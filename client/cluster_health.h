// Looks after a local cluster from a thread of its own.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/credentials.h"
#include "client/answer_count.h"
#include "client/controller_client.h"

namespace waferstream {

// Asks from its construction to its destruction, which waits for a call that is under way: end the
// controller first, and it fails at once. Thread-safe.
class ClusterHealth {
 public:
  // `controller` is the name of the process that listens on `address`.
  ClusterHealth(const std::string& address, const Credentials& credentials,
                const std::string& controller, const std::vector<std::string>& nodes);
  ~ClusterHealth();
  ClusterHealth(const ClusterHealth&) = delete;
  ClusterHealth& operator=(const ClusterHealth&) = delete;

  // See AnswerCount.
  std::vector<std::string> Hung() const;
  void Started(const std::string& name);

 private:
  void Run();

  ControllerClient client_;
  mutable absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  AnswerCount count_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: runs Run()
};

}  // namespace waferstream
