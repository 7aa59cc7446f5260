#include "base/fault_spec.h"

#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr char kVariable[] = "WAFERSTREAM_FLIP";

absl::Status Bad(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(kVariable, ": \"", std::string(text), "\": ", std::string(why)));
}

std::optional<FaultSpec::What> WhatOf(const std::string& word) {
  if (word == "activation") return FaultSpec::What::kActivation;
  if (word == "weights") return FaultSpec::What::kWeights;
  if (word == "gradient") return FaultSpec::What::kGradient;
  if (word == "dram") return FaultSpec::What::kDram;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<FaultSpec> ParseFaultSpec(std::string_view text) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(absl::string_view(text.data(), text.size()), absl::MaxSplits(':', 1));
  const std::pair<std::string, std::string> who =
      absl::StrSplit(parts.first, absl::MaxSplits('@', 1));
  FaultSpec spec;
  spec.role = who.first;
  spec.node_id = who.second;
  if (spec.role != "memoryx" && spec.role != "wafer") return Bad(text, "no role memoryx or wafer");
  std::map<std::string, std::string> values;
  for (const absl::string_view item : absl::StrSplit(parts.second, ',')) {
    values.insert(absl::StrSplit(item, absl::MaxSplits('=', 1)));
  }
  const std::optional<FaultSpec::What> what = WhatOf(values["what"]);
  if (!what) return Bad(text, "what is none of activation, weights, gradient, dram");
  spec.what = *what;
  if (!absl::SimpleAtoi(values["tile"], &spec.tile)) return Bad(text, "tile is not a number");
  if (!absl::SimpleAtoi(values["step"], &spec.step)) return Bad(text, "step is not a number");
  if (!absl::SimpleAtoi(values["bit"], &spec.bit)) return Bad(text, "bit is not a number");
  if (values.size() != 4) return Bad(text, "knows what, tile, step and bit only");
  return spec;
}

std::optional<FaultSpec> FaultSpecFromEnvironment() {
  const char* const text = std::getenv(kVariable);
  if (text == nullptr) return std::nullopt;
  const absl::StatusOr<FaultSpec> spec = ParseFaultSpec(text);
  if (!spec.ok()) {
    std::fprintf(stderr, "%s\n", std::string(spec.status().message()).c_str());
    std::exit(2);
  }
  return *spec;
}

}  // namespace waferstream
