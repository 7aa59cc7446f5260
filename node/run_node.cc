#include "node/run_node.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/flags.h"
#include "base/own_process.h"
#include "node/serve_node.h"
#include "proto/role_word.h"
#include "rpc/listen_flags.h"

namespace waferstream {
namespace {

constexpr int kUsage = 2;  // the documented exit code (see `waferctl --help`)

struct Flags {
  std::string id;
  std::string controller;
  ListenFlags listen;
  uint16_t fabric_port = 0;
  uint16_t advertise_fabric_port = 0;
  uint16_t control_port = 0;
  std::string log;
  std::string log_level = "info";
};

// Returns false when the process should exit with *exit_code.
bool ParseFlags(int argc, char** argv, NodeRole& role, Flags* flags, int* exit_code) {
  CLI::App app("A WaferStream node. It registers with a controller and then does what it is told.");
  AddName(app, "--id", flags->id, "name of this node, unique in the cluster")->required();
  AddAddress(app, "--controller", flags->controller, "of the controller")->required();
  AddListenFlags(app, flags->listen);
  AddWhole(app, "--fabric-port", flags->fabric_port, "0: any free port [0]");
  AddWhole(app, "--advertise-fabric-port", flags->advertise_fabric_port,
           "where others reach the fabric port, if a proxy, NAT or a NodePort stands before it; 0: "
           "the port itself [0]");
  AddWhole(app, "--control-port", flags->control_port, "0: any free port [0]");
  AddPath(app, "--log", flags->log, "log file; default: standard error");
  AddWord(app, "--log-level", flags->log_level, "debug|info|warn|error",
          "lowest level logged [info]");
  role.AddFlags(app);
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    *exit_code = ReportParseError(argv[0], app, error);
    return false;
  }
}

int FailUsage(const Flags& flags, const absl::Status& why) {
  std::fprintf(stderr, "%s: %s\n", flags.id.c_str(), std::string(why.message()).c_str());
  return kUsage;
}

}  // namespace

int RunNode(int argc, char** argv, NodeRole& role) {
  SettleProcess();
  Flags flags;
  int exit_code = 0;
  if (!ParseFlags(argc, argv, role, &flags, &exit_code)) return exit_code;
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen, RoleWord(role.kind()));
  if (!terms.ok()) return FailUsage(flags, terms.status());
  return ServeNode({.id = flags.id,
                    .controller = flags.controller,
                    .host = flags.listen.host,
                    .listen = *terms,
                    .control_port = flags.control_port,
                    .advertise_fabric_port = flags.advertise_fabric_port,
                    .log = flags.log,
                    .log_level = flags.log_level,
                    .fabric = OverTcp({.listen = terms->address,
                                       .port = flags.fabric_port,
                                       .advertised_port = flags.advertise_fabric_port,
                                       .node_id = flags.id,
                                       .credentials = terms->credentials})},
                   role);
}

}  // namespace waferstream
