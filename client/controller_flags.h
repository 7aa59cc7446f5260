// The flag of every command that talks to a controller.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace waferstream {

void AddControllerFlag(CLI::App& command, std::string& address);

}  // namespace waferstream
