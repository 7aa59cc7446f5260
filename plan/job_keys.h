// The one list of everything that a job file may say: its YAML path, type, bounds and default, and
// the field of JobSpec that it fills. The reader, the writer and the planner's own checks of a
// JobSpec that came over the network all go by this list; docs/FORMATS.md prints it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/user_input.h"
#include "proto/job.pb.h"

namespace waferstream {

// A router's probabilities of one token are on a stack.
inline constexpr int kExpertsMax = 1024;

enum class KeyKind {
  kName,      // can be a part of a file name
  kPath,      // relative: to the job file's folder
  kFolder,    // a path, as given
  kChoice,    // text, one of `words`
  kWord,      // an enum, one of `words`
  kFlag,      // true, false
  kWhole,     // a whole number
  kElements,  // a whole number; K, M, G multiply by 1024, 1024^2, 1024^3
  kBytes,     // a whole number with B, KiB, MiB, GiB, KB, MB, GB
  kReal,
  kRealPair,  // [a, b], into the fields `field`1 and `field`2
  kTextList,  // [a, b, ...], or one text
  kPathList,  // the same of kPath
  kRealList,  // [a, b, ...], or one number
};

struct JobKey {
  absl::string_view path;
  KeyKind kind = KeyKind::kName;
  absl::string_view field = {};     // in JobSpec; empty: as path
  bool required = false;            // within its section, when that is an optional one
  absl::string_view fallback = {};  // the default, as it would be written in the file
  absl::string_view words = {};     // separated by '|'; of an enum in the order of its numbers
  double low = 0;
  double high = std::numeric_limits<double>::max();
  bool open_low = false;       // low itself is refused
  bool open_high = false;      // high itself is refused
  bool unset_is_zero = false;  // what came without a file may leave it out, though low is above 0

  absl::string_view Field() const { return field.empty() ? path : field; }
};

std::span<const JobKey> JobKeys();

// A key that fills no field of its own (plan/job_yaml.h).
inline constexpr absl::string_view kModelFrom = "model.from";

// The key that a plain value in the place of this section stands for (`wafers: 2`); empty: none.
absl::string_view KeyMeantBy(absl::string_view section);

// Whether `path` is inside `section` (not `section` itself).
bool IsInside(absl::string_view path, absl::string_view section);

// Sections that need not be there: their keys count only when they are. All others are implied.
std::span<const absl::string_view> OptionalSections();
// That one which a path is inside of; empty: none.
absl::string_view OptionalSectionOf(absl::string_view path);

// Sections of which a job has one, or at most one: those inside of another, like
// training.optimizer's.
std::vector<absl::string_view> OptionsOf(absl::string_view section);
// INVALID_ARGUMENT: several are given of one such section, or none of the optimizers. `has`:
// whether a section is given.
absl::Status CheckOptions(const std::function<bool(absl::string_view section)>& has);

Bounds BoundsOf(const JobKey& key);

// The field's value as it may stand in a job file: of a number the shortest text that reads back as
// the same, of several values "[a, b]".
std::string ValueIn(const JobKey& key, const JobSpec& job);

// A text that is not empty, against its key's kind. INVALID_ARGUMENT, "<path>: <value> ...".
absl::Status CheckText(const JobKey& key, absl::string_view text);

// Every value of a job against its key, wherever it came from: text, which may be empty, words, and
// numbers. Of a generation, training and data are not looked at.
absl::Status CheckKeys(const JobSpec& job);

// The same of a model that comes from elsewhere.
absl::Status CheckKeys(const ModelSpec& model);

// What a generation may ask for. Its prompt, at least a token, is checked against the model, too.
inline constexpr Bounds kGeneratedTokens = {.low = 1, .high = 1 << 20};
inline constexpr Bounds kTemperature = {.high = 100};
inline constexpr Bounds kTopP = {.high = 1};
absl::Status CheckGeneration(const GenerateSpec& generate, const ModelSpec& model);

// What resumptions changed.
absl::Status CheckAmendments(const TrainingSpec& training);

}  // namespace waferstream
