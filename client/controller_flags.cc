#include "client/controller_flags.h"

#include <CLI/CLI.hpp>

namespace waferstream {

void AddControllerFlag(CLI::App& command, std::string& address) {
  command
      .add_option("--controller", address,
                  "Controller [$WAFERSTREAM_CONTROLLER, or the cluster of `waferctl up`]")
      ->type_name("HOST:PORT");
}

}  // namespace waferstream
