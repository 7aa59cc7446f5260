// Reports about a step, in any order and with any content: refused, or added up once.
// The input is a list of messages: kind and process in one byte, the length in another, the bytes.
#include <algorithm>
#include <string_view>

#include "base/status.h"
#include "controller/step_tally.h"
#include "plan/plan.h"
#include "plan/test_job.h"
#include "proto/node.pb.h"
#include "tests/fuzz/message.h"

namespace waferstream {
namespace {

JobSpec Job() {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_wafers(2);
  job.mutable_cluster()->set_memoryx(2);
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_training()->set_validate_every(1);
  return job;
}

const Plan& SmallPlan() {
  static const Plan* const plan = new Plan(*Compile(Job(), RequestedShape(Job())));
  return *plan;
}

struct Tallies {
  StepTally step{SmallPlan(), 0};
  ValidationTally validation{SmallPlan(), 1};

  void Add(int kind, int process, std::string_view bytes) {
    WaferStep wafer;
    GradientsReady memoryx;
    WaferValidation validated;
    if (kind == 0 && ParseMessage(bytes, wafer)) (void)step.Add(process, wafer);
    if (kind == 1 && ParseMessage(bytes, memoryx)) (void)step.Add(process, memoryx);
    if (kind == 2 && ParseMessage(bytes, validated)) (void)validation.Add(process, validated);
  }

  void Finish() const {
    if (step.complete()) {
      const auto result = step.Result();
      WS_CHECK(!result.ok() || result->clip_factor <= 1);
    }
    if (validation.complete()) (void)validation.Result();
  }
};

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Tallies tallies;
  while (rest.size() >= 2) {
    const auto head = static_cast<uint8_t>(rest[0]), bytes = static_cast<uint8_t>(rest[1]);
    rest.remove_prefix(2);
    tallies.Add(head / 2 % 3, head % 2, rest.substr(0, bytes));
    rest.remove_prefix(std::min<size_t>(bytes, rest.size()));
  }
  tallies.Finish();
  return 0;
}
