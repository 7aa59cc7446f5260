// The MemoryX process: owns the weights, streams them, and runs the optimizer. Flags: --help.
#include "checkpoint/posix_disk.h"
#include "memoryx/memoryx_role.h"
#include "node/run_node.h"

int main(int argc, char** argv) {
  waferstream::MemoryxRole role(waferstream::PosixDisk());
  return waferstream::RunNode(argc, argv, role);
}
