#include "plan/job_entries.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "plan/job_keys.h"

namespace waferstream {
namespace {

// May also be the word `constant`, which is what it is when it is left out.
constexpr absl::string_view kSchedule = "training.schedule";

absl::Status Refuse(const std::string& where, absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": ", path, path.empty() ? "" : ": ", what));
}

std::string Join(const std::string& section, const std::string& name) {
  return section.empty() ? name : absl::StrCat(section, ".", name);
}

bool IsKey(absl::string_view path) {
  for (const JobKey& key : JobKeys()) {
    if (key.path == path) return true;
  }
  return false;
}

bool IsSection(absl::string_view path) {
  for (const JobKey& key : JobKeys()) {
    if (IsInside(key.path, path)) return true;
  }
  return false;
}

// Names that may stand in a section: of its keys and of its own sections.
std::set<std::string> NamesIn(absl::string_view section) {
  std::set<std::string> names;
  for (const JobKey& key : JobKeys()) {
    if (!section.empty() && !IsInside(key.path, section)) continue;
    absl::string_view rest = key.path;
    if (!section.empty()) rest.remove_prefix(section.size() + 1);
    names.insert(std::string(rest.substr(0, rest.find('.'))));
  }
  return names;
}

// Levenshtein's.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// What an unknown name may have been meant to be; empty: no idea.
std::string Suggestion(const std::string& section, const std::string& name) {
  for (const JobKey& key : JobKeys()) {  // the right name in the wrong place
    const std::vector<std::string> names = absl::StrSplit(key.path, '.');
    if (names.back() == name) return std::string(key.path);
    const bool plain = KeyMeantBy(absl::StrJoin(names.begin(), names.end() - 1, ".")) == key.path;
    if (plain && *(names.end() - 2) == name)
      return absl::StrJoin(names.begin(), names.end() - 1, ".");
  }
  std::string closest;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& known : NamesIn(section)) {
    const size_t distance = EditDistance(name, known);
    if (distance >= least) continue;
    least = distance;
    closest = known;
  }
  return closest;
}

std::string UnknownKey(const std::string& path) {
  const size_t dot = path.rfind('.');
  const std::string section = dot == std::string::npos ? "" : path.substr(0, dot);
  const std::string name = dot == std::string::npos ? path : path.substr(dot + 1);
  const std::string suggestion = Suggestion(section, name);
  if (suggestion.empty()) return "unknown key";
  return absl::StrCat("unknown key; did you mean ", suggestion, "?");
}

// yaml-cpp reports by exception; here it ends.
absl::StatusOr<YAML::Node> Load(const std::string& text, const std::string& name) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    const std::string where = name.empty() ? "--set" : absl::StrCat(name, ":", e.mark.line + 1);
    return Refuse(where, "", e.msg);
  }
}

}  // namespace

absl::Status JobEntries::AddFile(const std::string& text, const std::string& name) {
  name_ = name;
  ASSIGN_OR_RETURN(const YAML::Node root, Load(text, name));
  if (!root.IsMap()) return Refuse(name, "", "not a job: there are no keys");
  return PlaceSection("", root);
}

absl::Status JobEntries::Override(const std::string& assignment) {
  name_.clear();
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) return Refuse("--set", assignment, "want key.path=value");
  const std::string path = assignment.substr(0, equals);
  const std::string text = assignment.substr(equals + 1);
  ASSIGN_OR_RETURN(const YAML::Node value, Load(text.empty() ? "''" : text, ""));
  Erase(path);
  // The sections on the way are then there as well.
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    sections_.insert(path.substr(0, dot));
  }
  return Place(path, value, "--set");
}

const JobEntry* JobEntries::Find(absl::string_view path) const {
  const auto at = entries_.find(std::string(path));
  return at == entries_.end() ? nullptr : &at->second;
}

bool JobEntries::HasSection(absl::string_view path) const {
  return sections_.count(std::string(path)) > 0;
}

absl::Status JobEntries::Place(const std::string& path, const YAML::Node& value,
                               const std::string& where) {
  if (IsKey(path)) {
    if (!entries_.insert({path, {value, where}}).second) return Refuse(where, path, "given twice");
    return absl::OkStatus();
  }
  if (const absl::string_view key = KeyMeantBy(path); !key.empty() && value.IsScalar()) {
    return Place(std::string(key), value, where);
  }
  if (!IsSection(path)) return Refuse(where, path, UnknownKey(path));
  if (path == kSchedule && value.IsScalar() && value.Scalar() == "constant") {
    return absl::OkStatus();
  }
  // `adamw:` with nothing behind it is an empty section.
  if (!value.IsMap() && !value.IsNull()) return Refuse(where, path, "must be a section of keys");
  if (!sections_.insert(path).second && !name_.empty()) return Refuse(where, path, "given twice");
  return PlaceSection(path, value);
}

absl::Status JobEntries::PlaceSection(const std::string& path, const YAML::Node& map) {
  for (const auto& pair : map) {
    if (!pair.first.IsScalar()) return Refuse(WhereIs(pair.first), path, "a key must be a word");
    RETURN_IF_ERROR(Place(Join(path, pair.first.Scalar()), pair.second, WhereIs(pair.first)));
  }
  return absl::OkStatus();
}

void JobEntries::Erase(const std::string& path) {
  const auto gone = [&](const std::string& at) { return at == path || IsInside(at, path); };
  std::erase_if(entries_, [&](const auto& entry) { return gone(entry.first); });
  std::erase_if(sections_, gone);
}

std::string JobEntries::WhereIs(const YAML::Node& node) const {
  return name_.empty() ? "--set" : absl::StrCat(name_, ":", node.Mark().line + 1);
}

}  // namespace waferstream
