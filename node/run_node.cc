#include "node/run_node.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/file_roots.h"
#include "base/flag_sources.h"
#include "base/flags.h"
#include "base/host_port.h"
#include "base/own_process.h"
#include "node/node_flags.h"
#include "node/serve_node.h"
#include "proto/role_word.h"

namespace waferstream {
namespace {

constexpr int kUsage = 2;  // the documented exit code (see `waferctl --help`)

int FailUsage(const NodeFlags& flags, const absl::Status& why) {
  std::fprintf(stderr, "%s: %s\n", flags.id.c_str(), std::string(why.message()).c_str());
  return kUsage;
}

}  // namespace

int RunNode(int argc, char** argv, NodeRole& role) {
  SettleProcess();
  CLI::App app("A WaferStream node. It registers with a controller and then does what it is told.");
  NodeFlags flags;
  AddNodeFlags(app, role, flags);
  FlagSources sources;
  try {
    sources.Parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError(argv[0], app, error);
  }
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen, RoleWord(role.kind()));
  if (!terms.ok()) return FailUsage(flags, sources.Named(terms.status()));
  if (FabricKindOf(flags) == FabricKind::kShm && terms->credentials.tls != nullptr) {
    return FailUsage(flags,
                     absl::InvalidArgumentError(
                         "--fabric: shm: certificates are proved over TLS only; auto or tcp"));
  }
  const auto roots = ParseRoots(flags.roots);
  if (!roots.ok()) return FailUsage(flags, sources.Named(roots.status()));
  // A controller may be late, but not without a name.
  const absl::Status known = CheckHostOf("--controller", flags.controller);
  if (!known.ok()) return FailUsage(flags, sources.Named(known));
  return ServeNode({.id = flags.id,
                    .controller = flags.controller,
                    .host = flags.listen.host,
                    .listen = *terms,
                    .control_port = flags.control_port,
                    .advertise_fabric_port = flags.advertise_fabric_port,
                    .roots = *roots,
                    .grace = absl::Seconds(flags.grace_seconds),
                    .patience = absl::Seconds(flags.patience_seconds),
                    .log = flags.log,
                    .fabric = OverTcp({.listen = terms->address,
                                       .port = flags.fabric_port,
                                       .advertised_port = flags.advertise_fabric_port,
                                       .node_id = flags.id,
                                       .credentials = terms->credentials,
                                       .kind = FabricKindOf(flags)})},
                   role);
}

}  // namespace waferstream
