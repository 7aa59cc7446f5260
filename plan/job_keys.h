// The one list of everything that a job file may say: its YAML path, type, bounds and default, and
// the field of JobSpec that it fills. The reader, the writer and the planner's own checks of a
// JobSpec that came over the network all go by this list; docs/FORMATS.md prints it.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/job.pb.h"

namespace waferstream {

enum class KeyKind {
  kText,
  kPath,      // relative: to the job file's folder
  kWord,      // one of `words`
  kFlag,      // true, false
  kWhole,     // a whole number
  kElements,  // a whole number; K, M, G multiply by 1024, 1024^2, 1024^3
  kBytes,     // a whole number with B, KiB, MiB, GiB, KB, MB, GB
  kReal,
  kRealPair,  // [a, b], into the fields `field`1 and `field`2
  kTextList,  // [a, b, ...], or one text
};

struct JobKey {
  absl::string_view path;
  KeyKind kind = KeyKind::kText;
  absl::string_view field = {};     // in JobSpec; empty: as path
  bool required = false;            // within its section, when that is an optional one
  absl::string_view fallback = {};  // the default, as it would be written in the file
  absl::string_view words = {};     // separated by '|'; of an enum in the order of its numbers
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  bool open_low = false;   // low itself is refused
  bool open_high = false;  // high itself is refused

  absl::string_view Field() const { return field.empty() ? path : field; }
};

std::span<const JobKey> JobKeys();

// Sections that need not be there; their keys count only when they are. All others are implied.
std::span<const absl::string_view> OptionalSections();

// The key that a plain value in the place of this section stands for (`wafers: 2`); empty: none.
absl::string_view KeyMeantBy(absl::string_view section);

// Whether `path` is inside `section` (not `section` itself).
bool IsInside(absl::string_view path, absl::string_view section);

// The optional section that a path is inside of; empty: none.
absl::string_view OptionalSectionOf(absl::string_view path);

// INVALID_ARGUMENT, "<path>: <value> ...": the bound that does not hold.
absl::Status CheckRange(const JobKey& key, double value);

// Every number of a job against its bounds. Of a generation, training and data are not looked at.
absl::Status CheckRanges(const JobSpec& job);

// The same of a model that comes from elsewhere.
absl::Status CheckRanges(const ModelSpec& model);

}  // namespace waferstream
