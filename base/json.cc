#include "base/json.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace waferstream {
namespace {

using Json = nlohmann::json;
using Event = Json::parse_event_t;

// Looks on while the parser builds the value.
class Watcher {
 public:
  // Whether to keep what was parsed.
  bool On(int depth, Event event, const Json& parsed) {
    if (event == Event::object_start) names_.emplace_back();
    if (event == Event::object_end) names_.pop_back();
    if (event == Event::key) {
      const std::string& name = parsed.get_ref<const std::string&>();
      if (!names_.back().insert(name).second) {
        Complain(absl::StrCat("has the name \"", OneLine(name), "\" twice"));
      }
    }
    if (depth < kJsonDepthMax) return true;
    Complain(absl::StrCat("is nested deeper than ", kJsonDepthMax));
    return false;
  }
  const std::string& complaint() const { return complaint_; }

 private:
  void Complain(std::string what) {
    if (complaint_.empty()) complaint_ = std::move(what);
  }
  std::vector<std::set<std::string>> names_;  // of the objects that are open
  std::string complaint_;                     // the first
};

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text) {
  Watcher watcher;
  Json value = Json::parse(
      text.begin(), text.end(),
      [&](int depth, Event event, Json& parsed) { return watcher.On(depth, event, parsed); },
      /*allow_exceptions=*/false);
  if (!watcher.complaint().empty()) return absl::InvalidArgumentError(watcher.complaint());
  if (value.is_discarded()) return absl::InvalidArgumentError("is not JSON");
  return value;
}

}  // namespace waferstream
