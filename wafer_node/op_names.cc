#include "wafer_node/op_names.h"

#include "absl/strings/str_cat.h"

namespace waferstream {

std::vector<std::string> OperationNames(const Plan& plan) {
  std::vector<std::string> names;
  for (const Operation& operation : plan.program.operations) {
    std::string name = operation.node >= 0 ? plan.graph.nodes[operation.node].name : "sum";
    names.push_back(absl::StrCat(name, operation.backward ? " backward" : ""));
  }
  return names;
}

}  // namespace waferstream
