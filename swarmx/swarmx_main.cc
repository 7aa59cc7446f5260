// The SwarmX process: broadcasts weights down and reduces gradients up. Flags: --help.
#include "node/run_node.h"
#include "swarmx/swarmx_role.h"

int main(int argc, char** argv) {
  waferstream::SwarmxRole role;
  return waferstream::RunNode(argc, argv, role);
}
