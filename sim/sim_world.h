// What all parts of one simulated cluster share: time, chance, the trace, and what went wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/parallel.h"
#include "proto/node.pb.h"
#include "sim/dice.h"
#include "sim/event_queue.h"
#include "sim/sim_trace.h"

namespace waferstream {

// How long things typically take, and how long somebody waits for them; drawn by seed.
struct Pace {
  int64_t frame_ns = 0;  // a frame or credit on its way
  int64_t work_ns = 0;   // a piece of lane work
  int64_t call_ns = 0;   // a control message on its way
  int64_t disk_ns = 0;   // a record, a checkpoint folder
  int64_t lease_ns = 0;
  int64_t heartbeat_ns = 0;
  int64_t keepalive_ns = 0;          // a silent connection is given up after it
  int64_t call_timeout_ns = 0;       // of most control calls
  int64_t slow_call_timeout_ns = 0;  // of Prepare and SealCheckpoint
  int64_t connect_timeout_ns = 0;
  int64_t retry_ns = 0;     // pause before something is tried again
  int64_t patience_ns = 0;  // a node without a controller for so long ends itself
  int64_t store_patience_ns =
      0;  // a controller gives a record up that its disk refuses for so long
};

// How often a message or a write goes wrong while faults are on; probabilities.
struct Weather {
  double call_lost = 0;
  double call_twice = 0;
  double write_fails = 0;  // of the controller's store
  double work_slow = 0;    // of what reads and writes beside a loop
  double link_slow = 0;    // of a connection, as long as it lives
};

// A pace at which only the kernels' own time passes: everything is quick, and nobody waits in vain.
Pace QuickPace();

struct SimWorld {
  using ReportHandler =
      std::function<void(const PrepareRequest&, const PrepareReply&, const NodeReport&)>;

  // `parallel` runs lane work, and outlives the world. `out`: of the trace; null: none.
  SimWorld(uint64_t seed, const Pace& the_pace, const Weather& the_weather, Parallel& the_parallel,
           std::ostream* out)
      : pace(the_pace),
        weather(the_weather),
        parallel(the_parallel),
        delays(seed, DiceStream::kDelay),
        messages(seed, DiceStream::kMessage),
        identities(seed, DiceStream::kIdentity),
        links(seed, DiceStream::kLink),
        trace(out) {}

  int64_t now_ns() const { return queue.now_ns(); }
  double now_s() const { return static_cast<double>(queue.now_ns()) * 1e-9; }

  template <typename... What>
  void Note(absl::string_view where, const What&... what) {
    trace.Note(now_ns(), where, what...);
  }

  // A fault happens: it is counted by kind. Draws for message faults end with the faults.
  template <typename... What>
  void NoteFault(const std::string& kind, absl::string_view where, const What&... what) {
    ++faults[kind];
    trace.Note(now_ns(), where, "FAULT ", kind, " ", what...);
  }
  bool Strikes(double probability) { return faults_on && messages.Chance(probability); }

  // An invariant is broken. The first one ends the run.
  void Violate(const std::string& what) {
    trace.Note(now_ns(), "-", "VIOLATION ", what);
    if (violation.empty()) violation = what;
  }

  EventQueue queue;
  const Pace pace;
  const Weather weather;
  Parallel& parallel;
  Dice delays;
  Dice messages;
  Dice identities;
  Dice links;
  SimTrace trace;
  ReportHandler on_report;  // hears what cores report, in their epochs; null: nobody does
  std::map<std::string, uint32_t> newest_epoch;  // by job: of any Prepare that reached a node
  bool faults_on = true;
  std::map<std::string, int64_t> faults;  // by kind
  std::string violation;                  // the first; empty: all is well
};

}  // namespace waferstream
