// The families that there are, for whoever is to go through all of them.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace waferstream {

// The names that model.family takes.
std::vector<absl::string_view> FamilyNames();

}  // namespace waferstream
