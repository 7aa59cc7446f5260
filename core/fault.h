// How a core tells the controller more about its end than a message: the error that it returns
// carries a NodeFault, which the shell sends instead of making one up.
#pragma once

#include "absl/status/status.h"
#include "proto/node.pb.h"

namespace waferstream {

// An error with this code and fault.message() that carries `fault`.
absl::Status FaultStatus(absl::StatusCode code, const NodeFault& fault);

// What `status`, an error, carries; or a fault of only its message.
NodeFault FaultOf(const absl::Status& status);

}  // namespace waferstream
