// The command line of waferctl as a whole.
#pragma once

#include "client/command.h"

namespace waferstream {

// Every command, and that one of them is required.
void AddCommands(CLI::App& app, Outcome& outcome);

}  // namespace waferstream
