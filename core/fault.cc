#include "core/fault.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace waferstream {
namespace {

constexpr char kPayload[] = "waferstream.NodeFault";

}  // namespace

absl::Status FaultStatus(absl::StatusCode code, const NodeFault& fault) {
  absl::Status status(code, fault.message());
  status.SetPayload(kPayload, absl::Cord(fault.SerializeAsString()));
  return status;
}

NodeFault FaultOf(const absl::Status& status) {
  NodeFault fault;
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  if (payload) fault.ParseFromString(std::string(*payload));
  fault.set_message(std::string(status.message()));
  return fault;
}

}  // namespace waferstream
