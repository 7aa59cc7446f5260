#include "client/command_line.h"

#include <CLI/CLI.hpp>

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
  AddEvaluateCommand(app, outcome);
  AddCheckpointCommand(app, outcome);
  AddDataCommand(app, outcome);
  AddCertsCommand(app, outcome);
  AddUsersCommand(app, outcome);
  AddPlanCommand(app, outcome);
  AddNodesCommand(app, outcome);
  AddVersionCommand(app, outcome);
}

}  // namespace waferstream
