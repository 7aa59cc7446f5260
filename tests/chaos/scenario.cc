#include "tests/chaos/scenario.h"

#include <signal.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"
#include "tests/chaos/process_sockets.h"

namespace waferstream {
namespace {

constexpr int kLeaseMs = 600;
constexpr absl::Duration kRestartAfter = absl::Milliseconds(300);
constexpr absl::Duration kHangFor = absl::Milliseconds(3 * kLeaseMs);
constexpr absl::Duration kStallFor = absl::Seconds(1);
constexpr absl::Duration kDelayFor = absl::Seconds(2);

bool IsOnTheWire(Fault::Kind kind) { return kind >= Fault::Kind::kCut; }
bool IsOfANetwork(Fault::Kind kind) { return kind >= Fault::Kind::kMute; }

uint16_t PortOf(const std::string& address) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  int port = 0;
  return absl::SimpleAtoi(parts.back(), &port) ? static_cast<uint16_t>(port) : 0;
}

// What happens when, on the wall clock.
class Timeline {
 public:
  Timeline(ChaosCluster& cluster, uint64_t seed) : cluster_(cluster), random_(seed) {}

  void Add(const Fault& fault, absl::Duration duration) {
    const absl::Duration at = duration * std::uniform_real_distribution<>(0, 1)(random_);
    const std::string id = fault.target;
    switch (fault.kind) {
      case Fault::Kind::kKill:
        return At(at, [=, this] { cluster_.Kill(id); });
      case Fault::Kind::kRestart:
        At(at, [=, this] { cluster_.Kill(id); });
        return At(at + kRestartAfter, [=, this] { cluster_.Start(id); });
      case Fault::Kind::kHang:
        At(at, [=, this] { cluster_.Signal(id, SIGSTOP); });
        return At(at + kHangFor, [=, this] { cluster_.Signal(id, SIGCONT); });
      case Fault::Kind::kMute:
        return At(at, [=, this] {
          Mute(id, {PortOf(cluster_.client().address()), PortOf(cluster_.Node(id).address())});
        });
      case Fault::Kind::kVanish:
        return At(at, [=, this] { Mute(id, {}); });
      case Fault::Kind::kCut:
        return At(at, [=, this] { cluster_.proxy(id).Cut(); });
      case Fault::Kind::kStall:
        At(at, [=, this] { cluster_.proxy(id).Stall(true); });
        return At(at + kStallFor, [=, this] { cluster_.proxy(id).Stall(false); });
      case Fault::Kind::kSwallowTo:
        return At(at, [=, this] { cluster_.proxy(id).Swallow(true, false); });
      case Fault::Kind::kSwallowFrom:
        return At(at, [=, this] { cluster_.proxy(id).Swallow(false, true); });
      case Fault::Kind::kSwallowBoth:
        return At(at, [=, this] { cluster_.proxy(id).Swallow(true, true); });
      case Fault::Kind::kDelay:
        At(at, [=, this] { cluster_.proxy(id).Delay(absl::Milliseconds(20)); });
        return At(at + kDelayFor, [=, this] { cluster_.proxy(id).Delay(absl::ZeroDuration()); });
      case Fault::Kind::kFlipBit:
        return At(at, [=, this, bit = random_()] { cluster_.proxy(id).FlipBit(bit); });
    }
  }

  void Run() {
    const absl::Time start = absl::Now();
    for (const auto& [at, action] : actions_) {
      // The fault's moment is what the test is about; nothing is waited for here.
      absl::SleepFor(start + at - absl::Now());
      action();
    }
  }

  bool permitted() const { return permitted_.ok(); }
  const absl::Status& permission() const { return permitted_; }

 private:
  void At(absl::Duration at, std::function<void()> action) {
    actions_.emplace(at, std::move(action));
  }
  void Mute(const std::string& id, const std::set<uint16_t>& spared) {
    permitted_.Update(MuteConnections(cluster_.pid(id), spared).status());
  }

  ChaosCluster& cluster_;
  std::mt19937_64 random_;
  std::multimap<absl::Duration, std::function<void()>> actions_;
  absl::Status permitted_;
};

std::string FolderName(const Scenario& scenario, uint64_t seed) {
  return absl::StrCat(scenario.name, "_", seed);
}

}  // namespace

void RunScenario(const Scenario& scenario, uint64_t seed) {
  const FaultFree& fault_free = FaultFreeRun();
  ChaosOptions options{.shape = scenario.shape, .lease_ms = kLeaseMs, .fabric = scenario.fabric};
  for (const Fault& fault : scenario.faults) {
    if (IsOfANetwork(fault.kind)) options.fabric = "tcp";
    if (IsOnTheWire(fault.kind)) options.proxied.insert(fault.target);
  }
  ChaosCluster cluster(FolderName(scenario, seed), options);
  const std::string job_id = cluster.Submit(ChaosJob(cluster, scenario.job));
  cluster.Await(job_id, [](const JobStatus& job) { return job.state() != QUEUED; });
  Timeline timeline(cluster, seed);
  for (const Fault& fault : scenario.faults) timeline.Add(fault, fault_free.duration);
  timeline.Run();
  if (!timeline.permitted()) GTEST_SKIP() << timeline.permission();
  ExpectSameResult(cluster.AwaitEnd(job_id));
}

}  // namespace waferstream
