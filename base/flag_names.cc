#include "base/flag_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/nearest_name.h"

namespace waferstream {
namespace {

constexpr absl::string_view kNames[] = {
    "advertise-fabric-port",
    "advertise-port",
    "config",
    "control-port",
    "controller",
    "dir",
    "dtype",
    "fabric",
    "fabric-port",
    "foreground",
    "grace",
    "health-port",
    "host",
    "id",
    "insecure",
    "kernel-isa",
    "lease-ms",
    "link-mbit",
    "listen",
    "log",
    "log-format",
    "log-level",
    "memoryx",
    "metrics-port",
    "output",
    "patience",
    "port",
    "port-file",
    "quiet",
    "roots",
    "run-dir",
    "secret-file",
    "seed",
    "shard-size",
    "state",
    "swarmx",
    "temperature",
    "tls-ca",
    "tls-cert",
    "tls-crl",
    "tls-key",
    "token-file",
    "tokens",
    "top-k",
    "top-p",
    "trace",
    "users",
    "wafers",
    "wait",
};

// Of builds that flip bits (base/fault_spec.h) and of scripts/fuzz.sh.
constexpr absl::string_view kOtherVariables[] = {"WAFERSTREAM_FLIP", "WAFERSTREAM_FUZZ_DIR"};

bool IsAmong(std::span<const absl::string_view> names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string Unknown(absl::string_view what, absl::string_view meant) {
  if (meant.empty()) return absl::StrCat("no flag has this ", what);
  return absl::StrCat("no flag has this ", what, "; did you mean ", meant, "?");
}

}  // namespace

std::span<const absl::string_view> FlagNames() { return kNames; }

std::string VariableOf(absl::string_view flag) {
  return absl::StrCat("WAFERSTREAM_",
                      absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}})));
}

std::string WhyNoVariable(absl::string_view name) {
  if (IsAmong(kOtherVariables, name)) return "";
  constexpr absl::string_view kPrefix = "WAFERSTREAM_";
  const std::string flag =
      absl::AsciiStrToLower(absl::StrReplaceAll(name.substr(kPrefix.size()), {{"_", "-"}}));
  NearestName nearest(flag);
  for (const absl::string_view known : kNames) {
    if (VariableOf(known) == name) return "";
    nearest.Consider(known);
  }
  return Unknown("variable", nearest.found().empty() ? "" : VariableOf(nearest.found()));
}

std::string WhyNoKey(absl::string_view key) {
  // A file names no further one.
  if (key == "config") return "is a flag and a variable alone";
  if (IsAmong(kNames, key)) return "";
  NearestName nearest(key);
  for (const absl::string_view known : kNames) nearest.Consider(known);
  return Unknown("name", nearest.found());
}

}  // namespace waferstream
