#include "client/command_line.h"

#include <CLI/CLI.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace waferstream {

void AddCommands(CLI::App& app, Outcome& outcome) {
  app.require_subcommand(1);
  AddRunCommand(app, outcome);
  AddMpiRunCommand(app, outcome);
  AddUpCommand(app, outcome);
  AddDownCommand(app, outcome);
  AddSubmitCommand(app, outcome);
  AddJobCommands(app, outcome);
  AddGenerateCommand(app, outcome);
  AddCheckpointCommand(app, outcome);
  AddCertsCommand(app, outcome);
  AddPlanCommand(app, outcome);
  AddNodesCommand(app, outcome);
  AddVersionCommand(app, outcome);
}

absl::Status CheckArguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    const size_t equals = argument.find('=');
    if (!absl::StartsWith(argument, "--") || equals + 1 != argument.size()) continue;
    return absl::InvalidArgumentError(absl::StrCat(argument.substr(0, equals), ": is empty"));
  }
  return absl::OkStatus();
}

}  // namespace waferstream
