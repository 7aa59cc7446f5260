#include "client/cluster_health.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace waferstream {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);
// The controller answers from memory, within milliseconds.
constexpr absl::Duration kAnswerLimit = absl::Seconds(2);

}  // namespace

ClusterHealth::ClusterHealth(const std::string& address, const Credentials& credentials,
                             const std::string& controller, const std::vector<std::string>& nodes)
    : client_(address, credentials), count_(controller, nodes), thread_([this] { Run(); }) {}

ClusterHealth::~ClusterHealth() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void ClusterHealth::Run() {
  for (;;) {
    const absl::Time next = absl::Now() + kLookEvery;
    const absl::StatusOr<NodeList> answer = client_.ListNodes(kAnswerLimit);
    absl::MutexLock lock(&mutex_);
    if (stop_) return;
    count_.OnLook(answer);
    if (mutex_.AwaitWithDeadline(absl::Condition(&stop_), next)) return;
  }
}

std::vector<std::string> ClusterHealth::Hung() const {
  absl::MutexLock lock(&mutex_);
  return count_.Hung();
}

void ClusterHealth::Started(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  count_.Started(name);
}

}  // namespace waferstream
