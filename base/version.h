// The version of everything that is built from this tree.
#pragma once

namespace waferstream {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace waferstream
