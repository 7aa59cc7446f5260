#include "client/controller_flags.h"

#include "base/flags.h"

namespace waferstream {

void AddControllerFlag(CLI::App& command, std::string& address) {
  AddAddress(command, "--controller", address,
             "Controller [$WAFERSTREAM_CONTROLLER, or the cluster of `waferctl up`]");
}

void AddPatienceFlag(CLI::App& command, int& seconds) {
  AddWhole(command, "--patience", seconds, "How long to wait for a controller that went away [60]",
           {.high = 1 << 20})
      ->type_name("SECONDS");
}

}  // namespace waferstream
