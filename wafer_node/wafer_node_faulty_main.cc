// A wafer node with a broken part: flips the bit that WAFERSTREAM_FLIP names (base/fault_spec.h).
// For tests; production has wafer_node.
#include <memory>
#include <string>

#include "checkpoint/posix_disk.h"
#include "node/run_node.h"
#include "wafer_node/bit_flips.h"
#include "wafer_node/wafer_role.h"

int main(int argc, char** argv) {
  const auto spec = waferstream::FaultSpecFromEnvironment();
  waferstream::WaferRole role(
      waferstream::PosixDisk(),
      [&](const std::string& node_id) -> std::unique_ptr<waferstream::ComputeFaults> {
        if (!spec.has_value() || !spec->IsFor("wafer", node_id)) return nullptr;
        return std::make_unique<waferstream::BitFlips>(*spec);
      });
  return waferstream::RunNode(argc, argv, role);
}
