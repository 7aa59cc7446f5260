// `waferctl nodes` (and what is done to them) and `waferctl version`.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/protocol_range.h"
#include "base/status.h"
#include "base/version.h"
#include "client/command.h"
#include "client/controller_address.h"
#include "client/controller_client.h"
#include "client/controller_flags.h"
#include "client/job_view.h"
#include "client/kernel_isa.h"
#include "client/output.h"

namespace waferstream {
namespace {

struct Flags {
  ControllerFlags controller;
  std::string node;
  Format format = Format::kTable;
};

Outcome Nodes(const Flags& flags) {
  ASSIGN_OR_RETURN(const ControllerAccess access, ResolveController(flags.controller));
  ControllerClient client(access.address, access.credentials);
  ASSIGN_OR_RETURN(const NodeList nodes, client.ListNodes());
  RETURN_IF_ERROR(PrintResult(flags.format, NodeListTable(nodes), NodeListJson(nodes)));
  return ExitCode::kOk;
}

Outcome Cordon(const Flags& flags, CordonRequest::Action action) {
  ASSIGN_OR_RETURN(const ControllerAccess access, ResolveController(flags.controller));
  ControllerClient client(access.address, access.credentials);
  CordonRequest request;
  request.set_node_id(flags.node);
  request.set_action(action);
  NodeList changed;
  ASSIGN_OR_RETURN(*changed.add_nodes(), client.CordonNode(request));
  RETURN_IF_ERROR(PrintResult(flags.format, NodeListTable(changed), NodeListJson(changed).front()));
  return ExitCode::kOk;
}

// The controller's version is an extra: without a controller the command still succeeds, unless the
// user named one.
Outcome Versions(const Flags& flags) {
  // What a job on a local cluster would compute with; nothing that a version may fail for.
  const absl::StatusOr<std::string> kernels = AskKernelIsa("");
  Json json = {{"client", waferstream::Version()},
               {"numerics", Numerics()},
               {"kernel_isa", kernels.ok() ? Json(*kernels) : Json()}};
  std::string table =
      absl::StrCat("client      ", waferstream::Version(), "\nkernels     ",
                   kernels.ok() ? *kernels : std::string(kernels.status().message()), "\n");
  const absl::StatusOr<ControllerAccess> access = ResolveController(flags.controller);
  const absl::StatusOr<VersionReply> reply =
      access.ok() ? ControllerClient(access->address, access->credentials).Version()
                  : access.status();
  if (!reply.ok() && !flags.controller.address.empty()) return reply.status();
  if (reply.ok()) {
    const ProtocolRange protocols =
        ProtocolsOf(reply->protocol_version(), reply->protocol_oldest());
    absl::StrAppend(&table, "controller  ", reply->version(), " (protocol ", protocols.ToString(),
                    ", ", access->address, ")\n");
    json["controller"] = {{"version", reply->version()},
                          {"protocol_version", protocols.newest},
                          {"protocol_oldest", protocols.oldest},
                          {"numerics", NumericsSaid(reply->numerics())},
                          {"address", access->address}};
  }
  RETURN_IF_ERROR(PrintResult(flags.format, table, json));
  return ExitCode::kOk;
}

CLI::App* AddOne(CLI::App& app, Outcome& outcome, const char* name, const char* what,
                 const std::shared_ptr<Flags>& flags, std::function<Outcome(const Flags&)> body) {
  CLI::App* command = app.add_subcommand(name, what);
  AddControllerFlags(*command, flags->controller);
  AddOutputFlag(*command, flags->format);
  command->callback([command, flags, body = std::move(body), &outcome] {
    // Of a family, the member that was called speaks.
    if (command->get_subcommands().empty()) outcome = body(*flags);
  });
  return command;
}

void AddCordon(CLI::App& nodes, Outcome& outcome, const char* name, const char* what,
               CordonRequest::Action action) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddOne(nodes, outcome, name, what, flags,
                             [action](const Flags& f) { return Cordon(f, action); });
  AddName(*command, "NODE", flags->node, "Its id")->required();
}

}  // namespace

void AddNodesCommand(CLI::App& app, Outcome& outcome) {
  CLI::App* nodes = AddOne(app, outcome, "nodes", "The nodes that the controller knows",
                           std::make_shared<Flags>(), Nodes);
  nodes->require_subcommand(0, 1);
  AddCordon(*nodes, outcome, "cordon", "Give it no new work", CordonRequest::CORDON);
  AddCordon(*nodes, outcome, "drain", "And let it leave its job, at the next step",
            CordonRequest::DRAIN);
  AddCordon(*nodes, outcome, "uncordon", "Let it work again", CordonRequest::UNCORDON);
}

void AddVersionCommand(CLI::App& app, Outcome& outcome) {
  AddOne(app, outcome, "version", "Versions of waferctl and of the controller",
         std::make_shared<Flags>(), Versions);
}

}  // namespace waferstream
