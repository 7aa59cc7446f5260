// Job files: any text is refused with one line or is a job that its own text reads back as.
#include <string>

#include "base/status.h"
#include "plan/job_yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto job = ParseJobYaml(text, "/data", {});
  if (!job.ok()) {
    WS_CHECK(!job.status().message().empty());
    return 0;
  }
  const auto again = ParseJobYaml(ToYaml(*job), "/data", {});
  WS_CHECK(again.ok());
  WS_CHECK(again->SerializeAsString() == job->SerializeAsString());
  return 0;
}
