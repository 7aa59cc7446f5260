// Who of a local cluster does not answer any more, counted in answers missed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/controller.pb.h"

namespace waferstream {

// One look a second asks the controller for its nodes. That is the health of all: the controller
// answers from its main loop or it does not, and it hears every node five times a second from a
// thread that no computation or disk delays, or calls it LOST.
//
// Misses in a row are counted, never wall time: after the machine slept, or this program was
// stopped, every clock has jumped, but nobody has missed more than the one look that was under way.
//
// Pure; not thread-safe.
class AnswerCount {
 public:
  // All of them have answered before.
  AnswerCount(std::string controller, const std::vector<std::string>& nodes);

  // One look. An error: the controller did not answer, and nothing is known of the nodes.
  void OnLook(const absl::StatusOr<NodeList>& answer);

  // It was started again: nothing that it missed counts, and its first answer may take longer.
  void Started(const std::string& name);

  // Those that missed kMissesMax in a row.
  std::vector<std::string> Hung() const;

 private:
  struct Process {
    int missed = 0;
    bool fresh = false;  // it has not answered since it was started
    int unheard = 0;     // looks that still tell of its former self
  };

  static void Count(Process& process, bool answered);

  const std::string controller_;
  std::map<std::string, Process> processes_;
};

// A healthy process misses none, under load a few. A node that misses so many has been lost to its
// job for as long, and nodes wait for a controller for longer (node/controller_link.h: 30 s).
inline constexpr int kMissesMax = 8;
// To start takes milliseconds, under heavy load or with a large store seconds.
inline constexpr int kMissesMaxAtStart = 60;
// Until the lease of the former process is over, its entry looks like an answer.
inline constexpr int kLooksUnheard = 3;

}  // namespace waferstream
