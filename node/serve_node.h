// A node from its registration to its end, whatever told it its terms: a command line, a launcher.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/log.h"
#include "node/controller_link.h"
#include "node/local_node.h"
#include "node/role.h"
#include "rpc/listen_flags.h"

namespace waferstream {

struct NodeTerms {
  std::string id;
  std::string controller;  // its host:port
  std::string host;        // where others reach this node
  ListenTerms listen;
  uint16_t control_port = 0;            // 0: any free one
  uint16_t advertise_fabric_port = 0;   // 0: the port that the fabric listens on
  std::vector<std::string> roots = {};  // folders that files of jobs are in; none: anywhere
  // How long SIGTERM lets it work on until others have taken over. Zero: it ends at once.
  absl::Duration grace = absl::ZeroDuration();
  // How long it does without a controller before it gives up what it holds and ends.
  absl::Duration patience = ControllerLinkOptions().patience;
  LogTerms log = {};
  FabricMaker fabric;
};

// Log, registration, serving, signals. Runs until SIGTERM, SIGINT or SIGHUP, those that were
// ignored at its start excepted. SIGTERM lets it leave in order first, within `grace`; the others,
// and a second one of any kind, end it at once. Returns the process's exit code: 0 stopped by a
// signal, 1 refused (another protocol version, a port in use), 4 the controller is gone, 6 told to
// stop and ended before it had left. On the main thread; other threads block those signals.
int ServeNode(const NodeTerms& terms, NodeRole& role);

}  // namespace waferstream
