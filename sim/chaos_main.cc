// The chaos simulation: seeds by the thousand, or one with its trace.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/flags.h"
#include "base/mark.h"
#include "sim/chaos_run.h"

namespace waferstream {
namespace {

struct Flags {
  uint64_t first = 1;
  uint64_t seeds = 1000;
  uint64_t seed = 0;
  int threads = 2;
  bool no_faults = false;
};

// A bug aborts: whoever reads the line can replay it.
thread_local uint64_t running_seed = 0;

void OnAbort(int) {
  char line[64];
  const int length = std::snprintf(line, sizeof(line), "aborted in seed %llu\n",
                                   static_cast<unsigned long long>(running_seed));
  (void)!write(STDERR_FILENO, line, static_cast<size_t>(length));
  signal(SIGABRT, SIG_DFL);
  raise(SIGABRT);
}

struct Totals {
  uint64_t seeds = 0, violations = 0, done = 0, events = 0, steps = 0, redone = 0;
  double virtual_s = 0;
  std::map<std::string, int64_t> faults;
  std::map<std::string, uint64_t> states;

  void Add(const ChaosResult& result) {
    ++seeds;
    violations += !result.violation.empty();
    events += result.events;
    steps += result.steps;
    redone += result.redone_steps;
    virtual_s += static_cast<double>(result.virtual_ns) * 1e-9;
    ++states[result.state];
    for (const auto& [kind, count] : result.faults) faults[kind] += count;
  }
};

void Print(const Totals& totals, double seconds) {
  std::printf("%llu violations\n", static_cast<unsigned long long>(totals.violations));
  std::printf("%llu seeds in %.1f s: %.0f seeds/min, %.0f events/s, %.1f virtual s a seed\n",
              static_cast<unsigned long long>(totals.seeds), seconds,
              static_cast<double>(totals.seeds) / seconds * 60,
              static_cast<double>(totals.events) / seconds,
              totals.virtual_s / static_cast<double>(totals.seeds));
  std::printf("steps: %llu committed, %llu redone\n", static_cast<unsigned long long>(totals.steps),
              static_cast<unsigned long long>(totals.redone));
  for (const auto& [state, count] : totals.states) {
    std::printf("%8llu %s\n", static_cast<unsigned long long>(count), state.c_str());
  }
  std::printf("faults:\n");
  for (const auto& [kind, count] : totals.faults) {
    std::printf("%8lld %s\n", static_cast<long long>(count), kind.c_str());
  }
  std::printf("rare branches:\n");
  for (const auto& [name, count] : Marks::All()) {
    std::printf("%8llu %s\n", static_cast<unsigned long long>(count), std::string(name).c_str());
  }
}

// Far from the small numbers that everybody runs, and short enough to be typed.
uint64_t DrawFirst() {
  std::random_device random;
  return std::uniform_int_distribution<uint64_t>(1'000'000, uint64_t{1} << 40)(random);
}

int RunMany(const Flags& flags) {
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(flags.first),
              static_cast<unsigned long long>(flags.first + flags.seeds - 1));
  std::fflush(stdout);
  std::mutex mutex;
  Totals totals;
  std::atomic<uint64_t> next{flags.first};
  const auto begin = std::chrono::steady_clock::now();
  const auto work = [&] {
    while (true) {
      const uint64_t seed = next++;
      if (seed >= flags.first + flags.seeds) return;
      running_seed = seed;
      const ChaosPlan plan = MakeChaosPlan(seed, !flags.no_faults);
      const ChaosResult result = RunChaos(plan, nullptr);
      const std::lock_guard<std::mutex> lock(mutex);
      totals.Add(result);
      if (result.violation.empty()) continue;
      std::printf("%s\n  VIOLATION %s\n  replay: bazel run //sim:chaos -- --seed %llu\n",
                  Describe(plan).c_str(), result.violation.c_str(),
                  static_cast<unsigned long long>(seed));
      std::fflush(stdout);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < flags.threads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  Print(totals, elapsed.count());
  return totals.violations == 0 ? 0 : 1;
}

int Replay(const Flags& flags) {
  running_seed = flags.seed;
  const ChaosPlan plan = MakeChaosPlan(flags.seed, !flags.no_faults);
  std::cout << Describe(plan) << "\n";
  const ChaosResult result = RunChaos(plan, &std::cout);
  std::cout << result.state << " " << result.reason << "\ntrace " << result.trace_hash << ", "
            << result.events << " events, " << result.redone_steps << " steps redone\n";
  if (result.violation.empty()) return 0;
  std::cout << "VIOLATION " << result.violation << "\n";
  return 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("The chaos simulation: a cluster on virtual time, with faults by seed.");
  AddWhole(app, "--seeds", flags.seeds, "how many [1000]", {.low = 1});
  AddWhole(app, "--first", flags.first, "the first of them [1]; 0: fresh ones, drawn at random");
  auto* one = AddWhole(app, "--seed", flags.seed, "replay this one, with its trace");
  AddWhole(app, "--threads", flags.threads, "seeds at a time [2]", {.low = 1, .high = 1024});
  AddSwitch(app, "--no-faults", flags.no_faults, "the same clusters, and nothing goes wrong");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError("chaos", app, error);
  }
  signal(SIGABRT, OnAbort);
  if (!one->empty()) return Replay(flags);
  if (flags.first == 0) flags.first = DrawFirst();
  return RunMany(flags);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
