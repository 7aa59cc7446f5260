// The flags of all programs that may also be a variable (WAFERSTREAM_LEASE_MS is --lease-ms) or a
// key of a file. One environment, and one file, often serve several programs: each must know the
// names of the others.
#pragma once

#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace waferstream {

// Without the dashes, in order. tests/flag_names_test.cc holds them against the programs.
std::span<const absl::string_view> FlagNames();

// "WAFERSTREAM_LEASE_MS" of "lease-ms".
std::string VariableOf(absl::string_view flag);

// Empty for a flag's variable, and for one that is there for another purpose (a test's, a
// script's). Else what is wrong with this variable's name, which begins with WAFERSTREAM_.
std::string WhyNoVariable(absl::string_view name);

// The same of a key.
std::string WhyNoKey(absl::string_view key);

}  // namespace waferstream
