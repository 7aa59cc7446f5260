#include "base/user_input.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/host_port.h"
#include "base/status.h"
#include "base/text.h"

namespace waferstream {
namespace {

constexpr size_t kNameBytesMax = 128;   // with a time and a number behind it, still a file name
constexpr size_t kPathBytesMax = 4095;  // PATH_MAX without its zero
constexpr size_t kShownBytesMax = 80;   // of a wrong value in a message
constexpr absl::string_view kDigits = "0123456789";

absl::Status Refuse(absl::string_view field, absl::string_view text, absl::string_view want) {
  const bool long_text = text.size() > kShownBytesMax;
  return absl::InvalidArgumentError(absl::StrCat(field, ": \"",
                                                 OneLine(text.substr(0, kShownBytesMax)),
                                                 long_text ? "..." : "", "\" must be ", want));
}

absl::Status IsWrong(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

// Of any bytes, be they UTF-8 or not.
bool HasControl(absl::string_view text) {
  while (!text.empty()) {
    const std::optional<char32_t> point = TakePoint(text);
    if (point && IsControl(*point)) return true;
    if (!point) text.remove_prefix(1);
  }
  return false;
}

// A number that a double took for 0 although it is not.
bool IsUnderflow(absl::string_view text, double number) {
  const absl::string_view mantissa = text.substr(0, text.find_first_of("eE"));
  return number == 0 && mantissa.find_first_of("123456789") != absl::string_view::npos;
}

// What the number is to be multiplied by; 0: there is no such unit.
uint64_t FactorOf(absl::string_view unit, std::span<const Unit> units) {
  if (unit.empty()) return 1;
  for (const Unit& known : units) {
    if (known.name == unit) return known.factor;
  }
  return 0;
}

// 1048577, not 1.04858e+06, which says as well that it is the bound.
std::string EveryDigit(double number) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

}  // namespace

absl::Status CheckBounds(absl::string_view field, double value, const Bounds& bounds) {
  // Written so that a NaN is refused.
  const bool high_enough = bounds.open_low ? value > bounds.low : value >= bounds.low;
  const bool low_enough = bounds.open_high ? value < bounds.high : value <= bounds.high;
  if (high_enough && low_enough) return absl::OkStatus();
  const char* relation = high_enough ? (bounds.open_high ? "below " : "at most ")
                                     : (bounds.open_low ? "greater than " : "at least ");
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", EveryDigit(value), " must be ", relation,
                   EveryDigit(high_enough ? bounds.high : bounds.low)));
}

absl::StatusOr<uint64_t> ParseWhole(absl::string_view field, absl::string_view text,
                                    const Bounds& bounds, std::span<const Unit> units,
                                    absl::string_view want) {
  int64_t negative = 0;
  if (!text.empty() && text[0] == '-' && absl::SimpleAtoi(text, &negative) && negative < 0) {
    RETURN_IF_ERROR(CheckBounds(field, static_cast<double>(negative), bounds));
  }
  const size_t digits = std::min(text.find_first_not_of(kDigits), text.size());
  const absl::string_view number = text.substr(0, digits);
  const uint64_t factor = FactorOf(text.substr(digits), units);
  // In some readers' eyes a leading zero makes it octal.
  const bool leading_zero = digits > 1 && number[0] == '0';
  if (digits == 0 || leading_zero || factor == 0) return Refuse(field, text, want);
  double roughly = 0;
  if (!absl::SimpleAtod(number, &roughly)) return Refuse(field, text, want);
  RETURN_IF_ERROR(CheckBounds(field, roughly * static_cast<double>(factor), bounds));
  uint64_t value = 0;
  if (!absl::SimpleAtoi(number, &value) || value > UINT64_MAX / factor) {
    return Refuse(field, text, absl::StrCat(want, " of at most ", UINT64_MAX));
  }
  return value * factor;
}

absl::StatusOr<double> ParseReal(absl::string_view field, absl::string_view text,
                                 const Bounds& bounds) {
  double number = 0;
  const bool plain = text.find_first_not_of("0123456789.eE+-") == absl::string_view::npos;
  if (!plain || !absl::SimpleAtod(text, &number) || !std::isfinite(number) ||
      IsUnderflow(text, number)) {
    return Refuse(field, text, "a number");
  }
  RETURN_IF_ERROR(CheckBounds(field, number, bounds));
  return number;
}

absl::StatusOr<size_t> ParseWord(absl::string_view field, absl::string_view text,
                                 absl::string_view words) {
  const std::vector<absl::string_view> known = absl::StrSplit(words, '|');
  const auto at = std::find(known.begin(), known.end(), text);
  if (at == known.end()) return Refuse(field, text, absl::StrCat("one of ", words));
  return static_cast<size_t>(at - known.begin());
}

absl::Status CheckText(absl::string_view field, absl::string_view text) {
  if (!IsUtf8(text)) return IsWrong(field, "is not UTF-8");
  if (HasControl(text)) return Refuse(field, text, "without control characters");
  return absl::OkStatus();
}

absl::Status CheckName(absl::string_view field, absl::string_view text) {
  if (text.empty()) return IsWrong(field, "is empty");
  RETURN_IF_ERROR(CheckText(field, text));
  if (text.find('/') != absl::string_view::npos || text == "." || text == "..") {
    return Refuse(field, text, "a name and no path");
  }
  if (text.front() == ' ' || text.back() == ' ') {
    return Refuse(field, text, "a name without spaces around it");
  }
  if (text.size() <= kNameBytesMax) return absl::OkStatus();
  return Refuse(field, text, absl::StrCat("at most ", kNameBytesMax, " bytes long"));
}

absl::Status CheckPath(absl::string_view field, absl::string_view path) {
  if (path.empty()) return IsWrong(field, "is empty");
  if (HasControl(path)) return Refuse(field, path, "a path without control characters");
  if (path.size() <= kPathBytesMax) return absl::OkStatus();
  return Refuse(field, path, absl::StrCat("at most ", kPathBytesMax, " bytes long"));
}

absl::StatusOr<std::string> AbsolutePath(absl::string_view field, const std::string& path) {
  RETURN_IF_ERROR(CheckPath(field, path));
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (!error) return absolute.lexically_normal().string();
  return IsWrong(field, absl::StrCat(path, ": the current folder: ", error.message()));
}

absl::Status CheckHost(absl::string_view field, absl::string_view host) {
  RETURN_IF_ERROR(CheckText(field, host));
  const bool bad = host.empty() || host.find_first_of(" /@,;") != absl::string_view::npos;
  return bad ? Refuse(field, host, "a host") : absl::OkStatus();
}

absl::Status CheckAddress(absl::string_view field, absl::string_view address) {
  RETURN_IF_ERROR(CheckText(field, address));
  const absl::StatusOr<HostPort> parts = SplitHostPort(std::string(address));
  // The port as a number of its own kind: without sign, spaces and leading zeros.
  const bool good = parts.ok() && CheckHost("", parts->host).ok() &&
                    absl::EndsWith(address, absl::StrCat(":", parts->port));
  return good ? absl::OkStatus() : Refuse(field, address, "host:port");
}

}  // namespace waferstream
