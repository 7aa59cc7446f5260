// The flags of commands that talk to a controller.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace waferstream {

void AddControllerFlag(CLI::App& command, std::string& address);

// Of commands that wait for a job.
void AddPatienceFlag(CLI::App& command, int& seconds);

}  // namespace waferstream
