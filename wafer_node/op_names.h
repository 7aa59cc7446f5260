// What a trace calls the operations of a program.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

// By index in Program::operations: the name of the graph's node, "sum" if it is none of the graph,
// and "backward".
std::vector<std::string> OperationNames(const Plan& plan);

}  // namespace waferstream
