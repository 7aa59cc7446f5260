// Test only: the MemoryX process, but for the bit that WAFERSTREAM_FLIP makes it flip
// (base/fault_spec.h). A test puts it where the real one would be.
#include <memory>
#include <string>

#include "checkpoint/posix_disk.h"
#include "memoryx/bit_flip.h"
#include "memoryx/memoryx_role.h"
#include "node/run_node.h"

int main(int argc, char** argv) {
  using waferstream::FaultSpec;
  const auto spec = waferstream::FaultSpecFromEnvironment();
  waferstream::MemoryxRole role(
      waferstream::PosixDisk(),
      [&](const std::string& node_id) -> std::unique_ptr<waferstream::MemoryFaults> {
        if (!spec.has_value() || !spec->IsFor("memoryx", node_id)) return nullptr;
        if (spec->what != FaultSpec::What::kDram) return nullptr;
        return std::make_unique<waferstream::BitFlip>(*spec);
      });
  return waferstream::RunNode(argc, argv, role);
}
