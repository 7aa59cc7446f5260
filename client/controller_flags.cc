#include "client/controller_flags.h"

#include "base/flags.h"
#include "rpc/tls_flags.h"

namespace waferstream {

void AddControllerFlags(CLI::App& command, ControllerFlags& flags) {
  AddAddress(command, "--controller", flags.address,
             "Controller [$WAFERSTREAM_CONTROLLER, or the cluster of `waferctl up`]");
  AddSecretFlag(command, flags);
  AddTlsFlags(command, flags.tls);
  AddPath(command, "--token-file", flags.token_file,
          "Who its user is to a controller that asks for tokens [$WAFERSTREAM_TOKEN_FILE]");
}

void AddSecretFlag(CLI::App& command, ControllerFlags& flags) {
  AddPath(command, "--secret-file", flags.secret_file,
          "The controller's secret [$WAFERSTREAM_SECRET_FILE, or that of `waferctl up`]");
}

void AddPatienceFlag(CLI::App& command, int& seconds) {
  AddWhole(command, "--patience", seconds, "How long to wait for a controller that went away [60]",
           {.high = 1 << 20})
      ->type_name("SECONDS");
}

}  // namespace waferstream
