#include "node/node_flags.h"

#include "base/file_roots.h"
#include "base/flags.h"

namespace waferstream {

FabricKind FabricKindOf(const NodeFlags& flags) {
  if (flags.fabric == "tcp") return FabricKind::kTcp;
  return flags.fabric == "shm" ? FabricKind::kShm : FabricKind::kAuto;
}

void AddNodeFlags(CLI::App& app, NodeRole& role, NodeFlags& flags) {
  AddName(app, "--id", flags.id, "name of this node, unique in the cluster")->required();
  AddAddress(app, "--controller", flags.controller, "of the controller")->required();
  AddListenFlags(app, flags.listen);
  AddWhole(app, "--fabric-port", flags.fabric_port, "0: any free port [0]");
  AddWhole(app, "--advertise-fabric-port", flags.advertise_fabric_port,
           "where others reach the fabric port, if a proxy, NAT or a NodePort stands before it; 0: "
           "the port itself [0]");
  AddWhole(app, "--control-port", flags.control_port, "0: any free port [0]");
  AddWord(app, "--fabric", flags.fabric, "auto|tcp|shm",
          "how payloads come from and go to nodes of this host: through memory that both share, or "
          "over TCP; other hosts: over TCP [auto]");
  AddRootsFlag(app, flags.roots);
  AddWhole(app, "--grace", flags.grace_seconds,
           "seconds that SIGTERM leaves to hand over to others; 0: end at once [25]",
           {.high = 86400});
  AddWhole(app, "--patience", flags.patience_seconds,
           "seconds without a controller before this node, and what it holds, is given up [30]",
           {.low = 1, .high = 86400});
  AddLogFlags(app, flags.log);
  role.AddFlags(app);
}

}  // namespace waferstream
