// How long a cluster of real processes needs to go on after one of them is killed, by role, and how
// many steps it commits when one is killed every 15 seconds. Prints one JSON object.
//   faults [FAULTS_A_ROLE] [ROUNDS_OF_GOODPUT]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/user_input.h"
#include "client/status_stream.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

constexpr int kLeaseMs = 1000;  // the controller's default
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kBetweenFaults = absl::Seconds(15);

// One endless job on a cluster in which every role has one process more than the job needs.
class Bench {
 public:
  explicit Bench(const std::string& name)
      : cluster_(name, {.shape = {.wafers = 2, .memoryx = 3, .swarmx = 2}, .lease_ms = kLeaseMs}),
        job_id_(cluster_.Submit(ChaosJob(
            cluster_,
            {"training.steps=1000000", "checkpoint.every=500", "checkpoint.keep=1",
             "cluster.memoryx.nodes=2", "cluster.memoryx.replicas=2", "cluster.wafers.min=1"}))),
        stream_(cluster_.client(), job_id_, kPatience) {
    AwaitStep(10);
  }

  // Kills a working process of `role` and answers how long it took until a step of the next epoch
  // was committed. The process is started again after that.
  absl::Duration Recover(const std::string& role) {
    AwaitStep(status_.step() + 20);
    absl::SleepFor(absl::Milliseconds(std::uniform_int_distribution<>(0, 200)(random_)));
    const std::string target = role == "controller" ? role : Working(role);
    const JobStatus before = Latest();
    cluster_.Kill(target);
    const absl::Time killed = absl::Now();
    // Nobody stands in for the controller: it comes back as fast as a supervisor is.
    if (role == "controller") cluster_.Start(target);
    AwaitStep(before.step() + 2);
    const absl::Duration took = absl::Now() - killed;
    if (role != "controller") cluster_.Start(target);
    // Until it takes part again, or is the spare; a MemoryX node has its shards by then.
    AwaitFor(absl::Seconds(3));
    return took;
  }

  // Steps committed within kBetweenFaults. A process of `role`, unless that is empty, is killed a
  // third of the way in, and started again a second later.
  uint64_t Steps(const std::string& role) {
    const uint64_t first = Latest().step();
    const absl::Time end = absl::Now() + kBetweenFaults;
    if (!role.empty()) {
      AwaitFor(kBetweenFaults / 3);
      const std::string target = Working(role);
      cluster_.Kill(target);
      AwaitFor(absl::Seconds(1));
      cluster_.Start(target);
    }
    AwaitFor(end - absl::Now());
    return Latest().step() - first;
  }

 private:
  std::string Working(const std::string& role) {
    for (;;) {
      for (int i = 0; i < 3; ++i) {
        std::string id = absl::StrCat(role, "-", i);
        if (cluster_.Node(id).state() == BUSY) return id;
      }
    }
  }

  const JobStatus& Latest() {
    AwaitFor(absl::ZeroDuration());
    return status_;
  }

  void AwaitFor(absl::Duration duration) {
    const absl::Time until = absl::Now() + duration;
    do {
      Take(std::max(until - absl::Now(), absl::ZeroDuration()));
    } while (absl::Now() < until);
  }

  void AwaitStep(uint64_t step) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (status_.step() < step) {
      Take(absl::Milliseconds(100));
      if (absl::Now() > deadline || HasEnded(status_)) {
        std::fprintf(stderr, "no step within %s: %s at step %d, epoch %d: %s\n%s\n",
                     absl::FormatDuration(kPatience).c_str(),
                     JobState_Name(status_.state()).c_str(), static_cast<int>(status_.step()),
                     static_cast<int>(status_.epoch()), status_.reason().c_str(),
                     cluster_.Events(job_id_).c_str());
        std::exit(1);
      }
    }
  }

  void Take(absl::Duration wait) {
    absl::StatusOr<std::optional<JobStatus>> next = stream_.Next(wait);
    if (next.ok() && *next) status_ = **std::move(next);
  }

  ChaosCluster cluster_;
  const std::string job_id_;
  StatusStream stream_;
  JobStatus status_;
  std::mt19937_64 random_{1};
};

double Percentile(std::vector<double> sorted, double p) {
  std::sort(sorted.begin(), sorted.end());
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(p * sorted.size()))];
}

int Count(const char* what, const char* text) {
  const absl::StatusOr<uint64_t> count = ParseWhole(what, text, {.low = 1, .high = 1 << 20});
  if (count.ok()) return static_cast<int>(*count);
  std::fprintf(stderr, "faults: %s\n", std::string(count.status().message()).c_str());
  std::exit(2);
}

int Main(int argc, char** argv) {
  const int faults = argc > 1 ? Count("FAULTS_A_ROLE", argv[1]) : 30;
  const int rounds = argc > 2 ? Count("ROUNDS_OF_GOODPUT", argv[2]) : 6;
  std::vector<std::string> rows;
  for (const std::string role : {"wafer", "swarmx", "memoryx", "controller"}) {
    Bench bench(absl::StrCat("recover_", role));
    std::vector<double> seconds;
    for (int i = 0; i < faults; ++i) {
      seconds.push_back(absl::ToDoubleSeconds(bench.Recover(role)));
      std::fprintf(stderr, "%s %d: %.2f s\n", role.c_str(), i, seconds.back());
    }
    rows.push_back(absl::StrFormat("\"%s\": {\"faults\": %d, \"p50_s\": %.3f, \"p99_s\": %.3f}",
                                   role, faults, Percentile(seconds, 0.5),
                                   Percentile(seconds, 0.99)));
  }
  // One quiet stretch beside every faulty one, so that a slow phase of a shared machine meets both.
  Bench bench("goodput");
  uint64_t quiet = 0, faulty = 0;
  const std::vector<std::string> roles = {"wafer", "swarmx", "memoryx"};
  for (int i = 0; i < rounds; ++i) {
    quiet += bench.Steps("");
    faulty += bench.Steps(roles[i % roles.size()]);
  }
  const double seconds = rounds * absl::ToDoubleSeconds(kBetweenFaults);
  absl::PrintF(
      "{\"recovery\": {%s}, \"goodput\": {\"fault_every_s\": %d, \"steps_per_s\": %.2f, "
      "\"fault_free_steps_per_s\": %.2f}}\n",
      absl::StrJoin(rows, ", "), kBetweenFaults / absl::Seconds(1), faulty / seconds,
      quiet / seconds);
  return 0;
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
