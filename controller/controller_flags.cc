#include "controller/controller_flags.h"

#include "base/file_roots.h"
#include "base/flags.h"
#include "base/version.h"

namespace waferstream {

void AddControllerProgramFlags(CLI::App& app, ControllerProgramFlags& flags) {
  app.set_version_flag("--version", Version());
  AddListenFlags(app, flags.listen);
  AddWhole(app, "--port", flags.port, "Port to listen on; 0: any free one [0]", {.high = 65535});
  AddWhole(app, "--advertise-port", flags.advertise_port,
           "Where others reach the port, if NAT or a NodePort stands before it [the port]",
           {.high = 65535});
  AddPath(app, "--state", flags.state_dir, "Directory for jobs, losses and checkpoints")
      ->required();
  AddPath(app, "--port-file", flags.port_file, "Gets host:port once the controller is ready");
  AddWhole(app, "--lease-ms", flags.lease_ms, "A node silent for so long is lost [1000]",
           {.low = 100, .high = 3600000});
  AddPath(app, "--users", flags.users_file,
          "Who may do what, by token (waferctl users) [who is let in may do everything]");
  AddRootsFlag(app, flags.roots);
  AddLogFlags(app, flags.log);
}

}  // namespace waferstream
