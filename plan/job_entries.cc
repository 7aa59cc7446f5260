#include "plan/job_entries.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/nearest_name.h"
#include "base/status.h"
#include "base/yaml_document.h"
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
  if (path == kModelFrom) return true;
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

// What an unknown name may have been meant to be; empty: no idea.
std::string Suggestion(const std::string& section, const std::string& name) {
  for (const JobKey& key : JobKeys()) {  // the right name in the wrong place
    const std::vector<std::string> names = absl::StrSplit(key.path, '.');
    if (names.back() == name) return std::string(key.path);
    std::string section_of_key = absl::StrJoin(names.begin(), names.end() - 1, ".");
    const bool plain = KeyMeantBy(section_of_key) == key.path;
    if (plain && *(names.end() - 2) == name) return section_of_key;
  }
  const std::set<std::string> known = NamesIn(section);
  NearestName nearest(name);
  for (const std::string& candidate : known) nearest.Consider(candidate);
  return std::string(nearest.found());
}

std::string UnknownKey(const std::string& path) {
  const size_t dot = path.rfind('.');
  const std::string section = dot == std::string::npos ? "" : path.substr(0, dot);
  const std::string name = dot == std::string::npos ? path : path.substr(dot + 1);
  const std::string suggestion = Suggestion(section, name);
  if (suggestion.empty()) return "unknown key";
  return absl::StrCat("unknown key; did you mean ", suggestion, "?");
}

// "job.yaml:7", or "--set" of an override, which has no name and no lines. Lines count from 0 here;
// below it: unknown.
std::string Where(const std::string& name, int line) {
  if (name.empty()) return "--set";
  return line < 0 ? name : absl::StrCat(name, ":", line + 1);
}

}  // namespace

absl::Status JobEntries::AddFile(const std::string& text, const std::string& name) {
  name_ = name;
  ASSIGN_OR_RETURN(const YAML::Node root,
                   LoadYaml(text, [&](int line) { return Where(name, line); }));
  if (!root.IsMap()) return Refuse(name, "", "not a job: there are no keys");
  return PlaceSection("", root);
}

absl::Status JobEntries::Override(const std::string& assignment) {
  name_.clear();
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) return Refuse("--set", assignment, "want key.path=value");
  const std::string path = assignment.substr(0, equals);
  const std::string text = assignment.substr(equals + 1);
  ASSIGN_OR_RETURN(const YAML::Node value,
                   LoadYaml(text.empty() ? "''" : text, [](int) { return "--set"; }));
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
  sections_.insert(path);
  return PlaceSection(path, value);
}

absl::Status JobEntries::PlaceSection(const std::string& path, const YAML::Node& map) {
  std::set<std::string> names;
  for (const auto& pair : map) {
    const std::string where = Where(name_, pair.first.Mark().line);
    if (!pair.first.IsScalar()) return Refuse(where, path, "a key must be a word");
    const std::string& name = pair.first.Scalar();
    const std::string inside = Join(path, name);
    if (name == "<<") return Refuse(where, inside, "keys are not merged; write them out");
    if (name.find('.') != std::string::npos) {
      return Refuse(where, inside, "a key with a dot; write it within its section");
    }
    if (!names.insert(name).second) return Refuse(where, inside, "given twice");
    RETURN_IF_ERROR(Place(inside, pair.second, where));
  }
  return absl::OkStatus();
}

void JobEntries::Erase(const std::string& path) {
  const auto gone = [&](const std::string& at) { return at == path || IsInside(at, path); };
  std::erase_if(entries_, [&](const auto& entry) { return gone(entry.first); });
  std::erase_if(sections_, gone);
}

}  // namespace waferstream
