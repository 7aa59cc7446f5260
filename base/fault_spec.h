// One bit that a faulty build of a node flips, so that tests can see it found. Production binaries
// do not link the code that flips bits, and never read this.
//
//   WAFERSTREAM_FLIP="memoryx@memoryx-1:what=dram,tile=3,step=2,bit=1003"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace waferstream {

struct FaultSpec {
  enum class What { kActivation, kWeights, kGradient, kDram };

  std::string role;     // "memoryx" or "wafer"
  std::string node_id;  // after '@'; empty: every node of the role
  What what = What::kDram;
  int tile = 0;       // where
  uint64_t step = 0;  // when: 0-based
  uint64_t bit = 0;   // of the tile's array; wraps round at its end

  // Whether the node with this role and id is to flip the bit.
  bool IsFor(std::string_view a_role, std::string_view a_node_id) const {
    return role == a_role && (node_id.empty() || node_id == a_node_id);
  }
};

// INVALID_ARGUMENT naming what cannot be read. All of what, tile, step and bit must be given, in
// any order.
absl::StatusOr<FaultSpec> ParseFaultSpec(std::string_view text);

// What the environment variable WAFERSTREAM_FLIP asks for; nullopt when it is not set. Aborts when
// it cannot be read: a test that flips nothing would pass for nothing.
std::optional<FaultSpec> FaultSpecFromEnvironment();

}  // namespace waferstream
