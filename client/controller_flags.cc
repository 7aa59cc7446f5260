#include "client/controller_flags.h"

#include <CLI/CLI.hpp>

namespace waferstream {

void AddControllerFlags(CLI::App& command, ControllerFlags& flags) {
  command
      .add_option("--controller", flags.address,
                  "Controller [$WAFERSTREAM_CONTROLLER, or the cluster of `waferctl up`]")
      ->type_name("HOST:PORT");
  AddSecretFlag(command, flags);
}

void AddSecretFlag(CLI::App& command, ControllerFlags& flags) {
  command
      .add_option("--secret-file", flags.secret_file,
                  "The controller's secret [$WAFERSTREAM_SECRET_FILE, or that of `waferctl up`]")
      ->type_name("FILE");
}

void AddPatienceFlag(CLI::App& command, int& seconds) {
  command
      .add_option("--patience", seconds, "How long to wait for a controller that went away [60]")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, 1 << 20));
}

}  // namespace waferstream
