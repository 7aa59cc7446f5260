#include "wafer_node/op_names.h"

#include "absl/strings/str_cat.h"

namespace waferstream {

std::vector<std::string> OperationNames(const Plan& plan) {
  std::vector<std::string> names;
  for (const Operation& operation : plan.program.operations) {
    const bool of_graph = operation.node >= 0;
    const std::string& written = plan.program.values[operation.writes[0]].name;
    names.push_back(absl::StrCat(
        of_graph ? plan.graph.nodes[operation.node].name : absl::StrCat("sum into ", written),
        operation.backward ? " backward" : ""));
  }
  return names;
}

}  // namespace waferstream
