#include "plan/job_value.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/byte_size.h"
#include "plan/job_fields.h"

namespace waferstream {
namespace {

constexpr Unit kElementUnits[] = {{"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}};

absl::Status Refuse(const JobKey& key, absl::string_view text, absl::string_view want) {
  return absl::InvalidArgumentError(absl::StrCat(key.path, ": \"", text, "\" must be ", want));
}

const char* WantedOf(KeyKind kind) {
  switch (kind) {
    case KeyKind::kBytes:
      return kByteSizeWanted;
    case KeyKind::kElements:
      return "a whole number, with or without K, M or G";
    default:
      return "a whole number";
  }
}

std::span<const Unit> UnitsOf(KeyKind kind) {
  if (kind == KeyKind::kBytes) return kByteUnits;
  if (kind == KeyKind::kElements) return kElementUnits;
  return {};
}

// "!": in quotes; "?": plain, of a type that the reader finds out.
bool IsKnownTag(const std::string& tag) {
  return tag.empty() || tag == "?" || tag == "!" || absl::StartsWith(tag, "tag:yaml.org,2002:");
}

absl::Status HasNoValue(const JobKey& key) {
  return absl::InvalidArgumentError(
      absl::StrCat(key.path, ": has no value; leave the key out, or give it one"));
}

// The text of a scalar; quoted ones are text and never a number.
absl::StatusOr<std::string> Scalar(const JobKey& key, const YAML::Node& value, bool quoted_too) {
  if (value.IsNull()) return HasNoValue(key);
  if (!value.IsScalar()) {
    return absl::InvalidArgumentError(absl::StrCat(key.path, ": must be a single value"));
  }
  if (!IsKnownTag(value.Tag())) return Refuse(key, value.Scalar(), "a value without a tag");
  if (!quoted_too && value.Scalar().empty()) return HasNoValue(key);
  if (!quoted_too && value.Tag() == "!") {
    return Refuse(key, value.Scalar(), "a value without quotes");
  }
  return value.Scalar();
}

absl::Status SetWholeFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, false));
  ASSIGN_OR_RETURN(const uint64_t number, ParseWhole(key.path, text, BoundsOf(key),
                                                     UnitsOf(key.kind), WantedOf(key.kind)));
  SetWhole(job, key.Field(), number);
  return absl::OkStatus();
}

absl::StatusOr<double> RealFromYaml(const JobKey& key, const YAML::Node& value) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, false));
  return ParseReal(key.path, text, BoundsOf(key));
}

absl::Status SetPairFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  if (value.IsNull()) return HasNoValue(key);
  if (!value.IsSequence() || value.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(key.path, ": must be a list of two numbers"));
  }
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(const double number, RealFromYaml(key, value[i]));
    SetReal(job, absl::StrCat(key.Field(), i + 1), number);
  }
  return absl::OkStatus();
}

absl::Status SetWordFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, true));
  ASSIGN_OR_RETURN(const size_t word, ParseWord(key.path, text, key.words));
  SetWhole(job, key.Field(), word);
  return absl::OkStatus();
}

absl::Status SetFlagFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, false));
  if (text != "true" && text != "false") return Refuse(key, text, "true or false");
  SetWhole(job, key.Field(), text == "true");
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckedScalar(const JobKey& key, const YAML::Node& value) {
  ASSIGN_OR_RETURN(std::string text, Scalar(key, value, true));
  if (!text.empty()) RETURN_IF_ERROR(CheckText(key, text));
  return text;
}

// Of a list of several values, or of one that stands for itself.
absl::StatusOr<std::vector<YAML::Node>> ListFromYaml(const JobKey& key, const YAML::Node& value) {
  if (!value.IsSequence()) return std::vector<YAML::Node>{value};
  if (key.required && value.size() == 0) return HasNoValue(key);
  return std::vector<YAML::Node>(value.begin(), value.end());
}

absl::Status SetTextListFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> list, ListFromYaml(key, value));
  std::vector<std::string> texts;
  for (const YAML::Node& item : list) {
    ASSIGN_OR_RETURN(texts.emplace_back(), CheckedScalar(key, item));
    if (key.required && texts.back().empty()) return HasNoValue(key);
  }
  SetTexts(job, key.Field(), texts);
  return absl::OkStatus();
}

absl::Status SetRealListFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> list, ListFromYaml(key, value));
  std::vector<double> numbers;
  for (const YAML::Node& item : list) {
    ASSIGN_OR_RETURN(numbers.emplace_back(), RealFromYaml(key, item));
  }
  SetReals(job, key.Field(), numbers);
  return absl::OkStatus();
}

absl::Status SetTextFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, CheckedScalar(key, value));
  // An empty path is how to say "none"; an empty name or word says nothing.
  const bool may_be_empty =
      (key.kind == KeyKind::kPath || key.kind == KeyKind::kFolder) && !key.required;
  if (text.empty() && !may_be_empty) return HasNoValue(key);
  SetText(job, key.Field(), text);
  return absl::OkStatus();
}

}  // namespace

absl::Status SetFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  switch (key.kind) {
    case KeyKind::kName:
    case KeyKind::kPath:
    case KeyKind::kFolder:
    case KeyKind::kChoice:
      return SetTextFromYaml(key, value, job);
    case KeyKind::kWord:
      return SetWordFromYaml(key, value, job);
    case KeyKind::kFlag:
      return SetFlagFromYaml(key, value, job);
    case KeyKind::kWhole:
    case KeyKind::kElements:
    case KeyKind::kBytes:
      return SetWholeFromYaml(key, value, job);
    case KeyKind::kRealPair:
      return SetPairFromYaml(key, value, job);
    case KeyKind::kTextList:
    case KeyKind::kPathList:
      return SetTextListFromYaml(key, value, job);
    case KeyKind::kRealList:
      return SetRealListFromYaml(key, value, job);
    case KeyKind::kReal: {
      ASSIGN_OR_RETURN(const double number, RealFromYaml(key, value));
      SetReal(job, key.Field(), number);
      return absl::OkStatus();
    }
  }
  WS_CHECK(false && "unknown KeyKind");
}

absl::Status SetFallback(const JobKey& key, JobSpec& job) {
  return SetFromYaml(key, YAML::Load(std::string(key.fallback)), job);
}

YAML::Node AsYaml(const JobKey& key, const JobSpec& job) {
  switch (key.kind) {
    case KeyKind::kRealPair:
    case KeyKind::kRealList: {
      YAML::Node pair = YAML::Load(ValueIn(key, job));
      pair.SetStyle(YAML::EmitterStyle::Flow);
      return pair;
    }
    case KeyKind::kTextList:
    case KeyKind::kPathList: {
      const std::vector<std::string> texts = TextsIn(job, key.Field());
      if (key.kind == KeyKind::kPathList && texts.size() == 1) return YAML::Node(texts[0]);
      YAML::Node list(YAML::NodeType::Sequence);
      for (const std::string& text : texts) list.push_back(text);
      list.SetStyle(YAML::EmitterStyle::Flow);
      return list;
    }
    default:
      return YAML::Node(ValueIn(key, job));
  }
}

}  // namespace waferstream
