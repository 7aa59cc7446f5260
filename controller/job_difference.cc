#include "controller/job_difference.h"

#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace waferstream {
namespace {

// A prompt or a path may be long.
constexpr size_t kLengthMax = 200;

}  // namespace

absl::Status CheckSameRequest(const std::string& request_id, const std::string& job_id,
                              const JobSpec& before, const JobSpec& after) {
  const std::string difference = DifferenceOf(before, after);
  if (difference.empty()) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("request id ", request_id, " is that of ", job_id,
                                               ", which is another job: ", difference));
}

std::string DifferenceOf(const JobSpec& before, const JobSpec& after) {
  google::protobuf::util::MessageDifferencer differencer;
  std::string report;
  differencer.ReportDifferencesToString(&report);
  if (differencer.Compare(before, after)) return "";
  // A line a field: "modified: training.steps: 8 -> 9".
  absl::string_view line = absl::string_view(report).substr(0, report.find('\n'));
  const size_t kind = line.find(": ");
  if (kind != absl::string_view::npos && line.substr(0, kind) == "modified") {
    line.remove_prefix(kind + 2);
  }
  if (line.size() <= kLengthMax) return std::string(line);
  return absl::StrCat(line.substr(0, kLengthMax), "...");
}

}  // namespace waferstream
