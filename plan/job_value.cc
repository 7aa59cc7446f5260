#include "plan/job_value.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "plan/job_fields.h"

namespace waferstream {
namespace {

struct Unit {
  absl::string_view name;
  uint64_t factor;
};

constexpr Unit kByteUnits[] = {
    {"", 1},           {"B", 1},     {"KiB", 1u << 10}, {"MiB", 1u << 20},
    {"GiB", 1u << 30}, {"KB", 1000}, {"MB", 1000'000},  {"GB", 1000'000'000},
};
constexpr Unit kElementUnits[] = {{"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}};
constexpr Unit kNoUnits[] = {{"", 1}};

absl::Status Refuse(const JobKey& key, absl::string_view text, absl::string_view want) {
  return absl::InvalidArgumentError(absl::StrCat(key.path, ": \"", text, "\" must be ", want));
}

const char* WantedOf(KeyKind kind) {
  switch (kind) {
    case KeyKind::kBytes:
      return "a whole number of bytes, with B, KiB, MiB, GiB, KB, MB or GB";
    case KeyKind::kElements:
      return "a whole number, with or without K, M or G";
    default:
      return "a whole number";
  }
}

std::span<const Unit> UnitsOf(KeyKind kind) {
  if (kind == KeyKind::kBytes) return kByteUnits;
  if (kind == KeyKind::kElements) return kElementUnits;
  return kNoUnits;
}

// The text of a scalar; quoted ones are text and never a number.
absl::StatusOr<std::string> Scalar(const JobKey& key, const YAML::Node& value, bool quoted_too) {
  if (value.IsNull()) return absl::InvalidArgumentError(absl::StrCat(key.path, ": has no value"));
  if (!value.IsScalar()) {
    return absl::InvalidArgumentError(absl::StrCat(key.path, ": must be a single value"));
  }
  if (!quoted_too && value.Tag() == "!") {
    return Refuse(key, value.Scalar(), "a value without quotes");
  }
  return value.Scalar();
}

absl::Status SetWholeFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, false));
  int64_t negative = 0;
  if (absl::SimpleAtoi(text, &negative) && negative < 0) return CheckRange(key, negative);
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const absl::string_view unit = absl::string_view(text).substr(digits);
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text.substr(0, digits), &number)) {
    return Refuse(key, text, WantedOf(key.kind));
  }
  for (const Unit& known : UnitsOf(key.kind)) {
    if (known.name != unit) continue;
    RETURN_IF_ERROR(CheckRange(key, static_cast<double>(number) * known.factor));
    SetWhole(job, key.Field(), number * known.factor);
    return absl::OkStatus();
  }
  return Refuse(key, text, WantedOf(key.kind));
}

absl::StatusOr<double> RealFromYaml(const JobKey& key, const YAML::Node& value) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, false));
  double number = 0;
  if (!absl::SimpleAtod(text, &number) || !std::isfinite(number)) {
    return Refuse(key, text, "a number");
  }
  RETURN_IF_ERROR(CheckRange(key, number));
  return number;
}

absl::Status SetPairFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  if (!value.IsSequence() || value.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(key.path, ": must be a list of two numbers"));
  }
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(const double number, RealFromYaml(key, value[i]));
    SetReal(job, absl::StrCat(key.Field(), i + 1), number);
  }
  return absl::OkStatus();
}

std::vector<std::string> WordsOf(const JobKey& key) { return absl::StrSplit(key.words, '|'); }

absl::Status SetWordFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, true));
  const std::vector<std::string> words = WordsOf(key);
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != text) continue;
    SetWhole(job, key.Field(), i);
    return absl::OkStatus();
  }
  return Refuse(key, text, absl::StrCat("one of ", key.words));
}

absl::Status SetFlagFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Scalar(key, value, false));
  if (text != "true" && text != "false") return Refuse(key, text, "true or false");
  SetWhole(job, key.Field(), text == "true");
  return absl::OkStatus();
}

// Bytes after the first one of a UTF-8 sequence; nullopt: none begins so.
std::optional<size_t> FollowingBytes(uint8_t lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xC2 && lead < 0xE0) return 1;
  if (lead >= 0xE0 && lead < 0xF0) return 2;
  if (lead >= 0xF0 && lead < 0xF5) return 3;
  return std::nullopt;
}

// Without overlong forms and surrogates: as protobuf has it.
bool IsUtf8(absl::string_view text) {
  constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i++]);
    const auto following = FollowingBytes(lead);
    if (!following || *following > text.size() - i) return false;
    uint32_t point = *following == 0 ? lead : lead & (0x3F >> *following);
    for (size_t end = i + *following; i < end; ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if ((byte & 0xC0) != 0x80) return false;
      point = point << 6 | (byte & 0x3F);
    }
    if (point < kLeast[*following] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<std::string> Utf8Scalar(const JobKey& key, const YAML::Node& value) {
  ASSIGN_OR_RETURN(std::string text, Scalar(key, value, true));
  // A message with other bytes in it would be refused by whoever receives it.
  if (IsUtf8(text)) return text;
  return absl::InvalidArgumentError(absl::StrCat(key.path, ": is not UTF-8"));
}

absl::Status SetTextListFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  std::vector<std::string> texts;
  if (!value.IsSequence()) {
    ASSIGN_OR_RETURN(texts.emplace_back(), Utf8Scalar(key, value));
  }
  for (size_t i = 0; value.IsSequence() && i < value.size(); ++i) {
    ASSIGN_OR_RETURN(texts.emplace_back(), Utf8Scalar(key, value[i]));
  }
  SetTexts(job, key.Field(), texts);
  return absl::OkStatus();
}

absl::Status SetTextFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  ASSIGN_OR_RETURN(const std::string text, Utf8Scalar(key, value));
  if (text.empty() && key.required) {
    return absl::InvalidArgumentError(absl::StrCat(key.path, ": has no value"));
  }
  SetText(job, key.Field(), text);
  return absl::OkStatus();
}

// The shortest text that reads back as the same number.
std::string Shortest(double number) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), number);
  return std::string(text, end.ptr);
}

}  // namespace

absl::Status SetFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job) {
  switch (key.kind) {
    case KeyKind::kText:
    case KeyKind::kPath:
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
      return SetTextListFromYaml(key, value, job);
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
    case KeyKind::kText:
    case KeyKind::kPath:
      return YAML::Node(TextIn(job, key.Field()));
    case KeyKind::kWord:
      return YAML::Node(WordsOf(key).at(WholeIn(job, key.Field())));
    case KeyKind::kFlag:
      return YAML::Node(WholeIn(job, key.Field()) != 0 ? "true" : "false");
    case KeyKind::kWhole:
    case KeyKind::kElements:
    case KeyKind::kBytes:
      return YAML::Node(absl::StrCat(WholeIn(job, key.Field())));
    case KeyKind::kReal:
      return YAML::Node(Shortest(NumberIn(job, key.Field())));
    case KeyKind::kRealPair: {
      YAML::Node pair;
      for (int i = 1; i <= 2; ++i) {
        pair.push_back(Shortest(NumberIn(job, absl::StrCat(key.Field(), i))));
      }
      pair.SetStyle(YAML::EmitterStyle::Flow);
      return pair;
    }
    case KeyKind::kTextList: {
      YAML::Node list(YAML::NodeType::Sequence);
      for (const std::string& text : TextsIn(job, key.Field())) list.push_back(text);
      list.SetStyle(YAML::EmitterStyle::Flow);
      return list;
    }
  }
  WS_CHECK(false && "unknown KeyKind");
}

}  // namespace waferstream
