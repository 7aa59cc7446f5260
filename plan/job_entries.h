// A YAML job file taken apart: which keys it gives, which sections, and where.
#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "yaml-cpp/yaml.h"

namespace waferstream {

struct JobEntry {
  YAML::Node value;
  std::string where;  // "job.yaml:7" or "--set"
};

// Knows the names of keys and sections (plan/job_keys.h), not the types of values.
class JobEntries {
 public:
  // INVALID_ARGUMENT: not one YAML document in UTF-8; an unknown or repeated key; a section that is
  // none.
  absl::Status AddFile(const std::string& text, const std::string& name);
  // "key.path=value": replaces what is there at and below the path.
  absl::Status Override(const std::string& assignment);

  // nullptr: not given.
  const JobEntry* Find(absl::string_view path) const;
  // Whether a section is given, be it empty.
  bool HasSection(absl::string_view path) const;

 private:
  absl::Status Place(const std::string& path, const YAML::Node& value, const std::string& where);
  absl::Status PlaceSection(const std::string& path, const YAML::Node& map);
  void Erase(const std::string& path);

  std::string name_;  // of the file being read; empty: an override
  std::map<std::string, JobEntry> entries_;
  std::set<std::string> sections_;
};

}  // namespace waferstream
