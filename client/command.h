// The commands of waferctl. Each Add*Command adds one (or a small family) to the command line; when
// it was the one that the user called, it runs during parsing and leaves its outcome.
#pragma once

#include "absl/status/statusor.h"
#include "client/exit_code.h"

namespace CLI {
class App;
}

namespace waferstream {

// The exit code, or an error that main prints as one line and maps to an exit code.
using Outcome = absl::StatusOr<ExitCode>;

void AddRunCommand(CLI::App& app, Outcome& outcome);
void AddMpiRunCommand(CLI::App& app, Outcome& outcome);
void AddCertsCommand(CLI::App& app, Outcome& outcome);  // init, issue, revoke
void AddUsersCommand(CLI::App& app, Outcome& outcome);  // add, renew, remove, list
void AddUpCommand(CLI::App& app, Outcome& outcome);
void AddDownCommand(CLI::App& app, Outcome& outcome);
void AddSubmitCommand(CLI::App& app, Outcome& outcome);
void AddJobCommands(CLI::App& app, Outcome& outcome);  // list, get, watch, logs, cancel
void AddGenerateCommand(CLI::App& app, Outcome& outcome);
void AddEvaluateCommand(CLI::App& app, Outcome& outcome);
void AddCheckpointCommand(CLI::App& app, Outcome& outcome);  // init, list, import, export
void AddDataCommand(CLI::App& app, Outcome& outcome);        // prepare
void AddPlanCommand(CLI::App& app, Outcome& outcome);
void AddNodesCommand(CLI::App& app, Outcome& outcome);
void AddVersionCommand(CLI::App& app, Outcome& outcome);

}  // namespace waferstream
