// The names of roles, as certificates and people have them.
#pragma once

#include <string>

#include "absl/strings/ascii.h"
#include "proto/node.pb.h"

namespace waferstream {

// "memoryx", "swarmx" or "wafer".
inline std::string RoleWord(Role role) { return absl::AsciiStrToLower(Role_Name(role)); }

}  // namespace waferstream
