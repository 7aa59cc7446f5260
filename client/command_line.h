// The command line of waferctl as a whole.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/command.h"

namespace waferstream {

// Every command, and that one of them is required.
void AddCommands(CLI::App& app, Outcome& outcome);

// What the parser would misread: it takes what follows an option as its value when the value itself
// is empty ("--out=$UNSET next"). INVALID_ARGUMENT, naming the option. `arguments` without the
// program.
absl::Status CheckArguments(const std::vector<std::string>& arguments);

}  // namespace waferstream
