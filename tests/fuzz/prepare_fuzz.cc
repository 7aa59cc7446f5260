// Prepare as a node takes it: any bytes are no request, a job that is refused, or a plan, within
// the fuzzer's limits of time and memory. The request's hash is of no use here; a node compares it.
#include "base/status.h"
#include "plan/plan.h"
#include "proto/node.pb.h"
#include "tests/fuzz/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  PrepareRequest request;
  if (!ParseMessage({reinterpret_cast<const char*>(data), size}, request)) return 0;
  // Of the members that it names (a node), and of those that the job asks for (the controller).
  for (const ClusterShape& shape :
       {ShapeOf(request.roster(), request.shards()), RequestedShape(request.job())}) {
    const auto plan = Compile(request.job(), shape);
    if (!plan.ok()) {
      WS_CHECK(!plan.status().message().empty());
      continue;
    }
    plan->Hash();
    plan->LearningRate(request.start_step());
    for (int wafer = 0; wafer < plan->shape.wafers; ++wafer) plan->TrainingLeaves(0, wafer);
  }
  return 0;
}
