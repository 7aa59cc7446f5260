// The flags by which a process that listens says where, the same for the controller and every node.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace waferstream {

struct ListenFlags {
  std::string host = "127.0.0.1";  // name or address at which others reach this process
  std::string listen = "";         // name or address to listen on; empty: `host`
};

// --host, --listen.
void AddListenFlags(CLI::App& app, ListenFlags& flags);

// The one address of this host, a literal, on which all ports of the process are opened. It is a
// wildcard only if --listen asks for it. INVALID_ARGUMENT, naming the flag.
absl::StatusOr<std::string> ListenAddress(const ListenFlags& flags);

}  // namespace waferstream
