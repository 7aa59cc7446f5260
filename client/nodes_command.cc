// `waferctl nodes` and `waferctl version`: what is there.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "client/command.h"
#include "client/controller_address.h"
#include "client/controller_client.h"
#include "client/controller_flags.h"
#include "client/job_view.h"
#include "client/output.h"

namespace waferstream {
namespace {

struct Flags {
  std::string controller;
  Format format = Format::kTable;
};

Outcome Nodes(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::string address, ResolveController(flags.controller));
  ControllerClient client(address);
  ASSIGN_OR_RETURN(const NodeList nodes, client.ListNodes());
  RETURN_IF_ERROR(PrintResult(flags.format, NodeListTable(nodes), NodeListJson(nodes)));
  return ExitCode::kOk;
}

// The controller's version is an extra: without a controller the command still succeeds, unless the
// user named one.
Outcome Version(const Flags& flags) {
  Json json = {{"client", kVersion}};
  std::string table = absl::StrCat("client      ", kVersion, "\n");
  const absl::StatusOr<std::string> address = ResolveController(flags.controller);
  const absl::StatusOr<VersionReply> reply =
      address.ok() ? ControllerClient(*address).Version() : address.status();
  if (!reply.ok() && !flags.controller.empty()) return reply.status();
  if (reply.ok()) {
    absl::StrAppend(&table, "controller  ", reply->version(), " (protocol ",
                    reply->protocol_version(), ", ", *address, ")\n");
    json["controller"] = {{"version", reply->version()},
                          {"protocol_version", reply->protocol_version()},
                          {"address", *address}};
  }
  RETURN_IF_ERROR(PrintResult(flags.format, table, json));
  return ExitCode::kOk;
}

void AddOne(CLI::App& app, Outcome& outcome, const char* name, const char* what,
            Outcome (*body)(const Flags&)) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(name, what);
  AddControllerFlag(*command, flags->controller);
  AddOutputFlag(*command, flags->format);
  command->callback([flags, body, &outcome] { outcome = body(*flags); });
}

}  // namespace

void AddNodesCommand(CLI::App& app, Outcome& outcome) {
  AddOne(app, outcome, "nodes", "The nodes that the controller knows", Nodes);
}

void AddVersionCommand(CLI::App& app, Outcome& outcome) {
  AddOne(app, outcome, "version", "Versions of waferctl and of the controller", Version);
}

}  // namespace waferstream
