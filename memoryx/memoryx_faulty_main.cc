// Test only: the MemoryX process, but for the bit that WAFERSTREAM_FLIP makes it flip
// (base/fault_spec.h). A test puts it where the real one would be.
#include <optional>
#include <string_view>

#include "checkpoint/posix_disk.h"
#include "memoryx/bit_flip.h"
#include "memoryx/memoryx_role.h"
#include "node/run_node.h"

namespace waferstream {
namespace {

// The value of --id; RunNode reads the flags, and refuses them if it is missing.
std::string_view NodeId(int argc, char** argv) {
  constexpr std::string_view kFlag = "--id";
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == kFlag && i + 1 < argc) return argv[i + 1];
    if (arg.starts_with("--id=")) return arg.substr(kFlag.size() + 1);
  }
  return "";
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  using waferstream::FaultSpec;
  const std::optional<FaultSpec> spec = waferstream::FaultSpecFromEnvironment();
  const bool ours = spec && spec->IsFor("memoryx", waferstream::NodeId(argc, argv)) &&
                    spec->what == FaultSpec::What::kDram;
  if (ours) waferstream::ArmBitFlip(*spec);
  waferstream::MemoryxRole role(waferstream::PosixDisk());
  return waferstream::RunNode(argc, argv, role);
}
