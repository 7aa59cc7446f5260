// The flags by which a process that listens says where, the same for the controller and every node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/credentials.h"
#include "rpc/tls_flags.h"

namespace CLI {
class App;
}

namespace waferstream {

struct ListenFlags {
  std::string host = "127.0.0.1";  // name or address at which others reach this process
  std::string listen = "";         // name or address to listen on; empty: `host`
  std::string secret_file = "";    // of the cluster; empty: everybody is let in
  TlsFiles tls = {};               // all three or none
  bool insecure = false;           // in the clear, from other hosts too
  std::optional<uint16_t> metrics_port = std::nullopt;  // 0: any free one; empty: none
  std::optional<uint16_t> health_port = std::nullopt;   // the same
};

// --host, --listen, --secret-file, --tls-cert, --tls-key, --tls-ca, --insecure, --metrics-port,
// --health-port.
void AddListenFlags(CLI::App& app, ListenFlags& flags);

// The one address of this host, a literal, on which all ports of the process are opened. It is a
// wildcard only if --listen asks for it. INVALID_ARGUMENT, naming the flag.
absl::StatusOr<std::string> ListenAddress(const ListenFlags& flags);

// What the process proves, and asks for of whoever calls. One line that names the flag: the file is
// not there, is not a secret, or is not only the caller's (base/cluster_secret.h), or is no
// certificate; INVALID_ARGUMENT: there are no certificates, and other hosts reach `listen`.
absl::StatusOr<Credentials> ReadCredentials(const ListenFlags& flags, const std::string& listen,
                                            const std::string& role);

// Both together, for a process of `role`.
struct ListenTerms {
  std::string address;
  Credentials credentials;
  std::optional<uint16_t> metrics_port = std::nullopt;
  std::optional<uint16_t> health_port = std::nullopt;
};
// The folders of the files that are read again when they change.
std::vector<std::string> FoldersOf(const Credentials& credentials);
absl::StatusOr<ListenTerms> CheckListenFlags(const ListenFlags& flags, const std::string& role);

}  // namespace waferstream
