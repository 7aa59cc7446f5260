#include "controller/job_id.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

// 0: not an id of a job.
uint64_t NumberOf(absl::string_view job_id) {
  absl::string_view rest = job_id;
  rest.remove_prefix(std::min(rest.size(), rest.find('-') + 1));
  uint64_t number = 0;
  return absl::SimpleAtoi(rest.substr(0, rest.find('-')), &number) ? number : 0;
}

}  // namespace

JobIdentity MakeJobIdentity(uint64_t number, absl::string_view tag) {
  return {.number = number, .job_id = absl::StrCat("job-", number, "-", tag)};
}

bool MayMean(absl::string_view name, absl::string_view job_id) {
  if (name.empty() || !absl::StartsWith(job_id, name)) return false;
  const bool whole_number = std::count(name.begin(), name.end(), '-') >= 2;
  return job_id.size() == name.size() || job_id[name.size()] == '-' || whole_number;
}

bool OlderJobFirst::operator()(const std::string& a, const std::string& b) const {
  return std::make_pair(NumberOf(a), absl::string_view(a)) <
         std::make_pair(NumberOf(b), absl::string_view(b));
}

}  // namespace waferstream
