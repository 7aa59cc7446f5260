// The wafer node: computes one layer at a time inside its SRAM arena.
#include "checkpoint/posix_disk.h"
#include "node/run_node.h"
#include "wafer_node/wafer_role.h"

int main(int argc, char** argv) {
  waferstream::WaferRole role(waferstream::PosixDisk());
  return waferstream::RunNode(argc, argv, role);
}
