#include "client/controller_flags.h"

#include <CLI/CLI.hpp>

namespace waferstream {

void AddControllerFlag(CLI::App& command, std::string& address) {
  command
      .add_option("--controller", address,
                  "Controller [$WAFERSTREAM_CONTROLLER, or the cluster of `waferctl up`]")
      ->type_name("HOST:PORT");
}

void AddPatienceFlag(CLI::App& command, int& seconds) {
  command
      .add_option("--patience", seconds, "How long to wait for a controller that went away [60]")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, 1 << 20));
}

}  // namespace waferstream
