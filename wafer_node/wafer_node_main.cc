// The wafer node: computes one layer at a time inside its SRAM arena.
#include "node/run_node.h"
#include "wafer_node/wafer_role.h"

int main(int argc, char** argv) {
  waferstream::WaferRole role;
  return waferstream::RunNode(argc, argv, role);
}
