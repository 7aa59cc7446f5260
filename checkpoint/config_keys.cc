#include "checkpoint/config_keys.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace waferstream {

absl::Status ConfigKeys::Wrong(const std::string& what) const {
  return absl::DataLossError(absl::StrCat(path_, ": ", what));
}

absl::Status ConfigKeys::Unsupported(const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
}

bool ConfigKeys::Has(const char* key) const {
  return config_.contains(key) && !config_[key].is_null();
}

bool ConfigKeys::IsNull(const char* key) const {
  return config_.contains(key) && config_[key].is_null();
}

absl::Status ConfigKeys::Size(const char* key, uint32_t& value,
                              std::optional<uint32_t> otherwise) const {
  if (!Has(key) && otherwise.has_value()) {
    value = *otherwise;
    return absl::OkStatus();
  }
  const bool good = Has(key) && At(key).is_number_unsigned() && At(key).get<uint64_t>() > 0 &&
                    At(key).get<uint64_t>() <= std::numeric_limits<uint32_t>::max();
  if (!good) return Wrong(absl::StrCat(key, " is not a positive number"));
  value = At(key).get<uint32_t>();
  return absl::OkStatus();
}

absl::Status ConfigKeys::Real(const char* key, double& value, double otherwise) const {
  value = otherwise;
  if (!Has(key)) return absl::OkStatus();
  if (!At(key).is_number()) return Wrong(absl::StrCat(key, " is not a number"));
  value = At(key);
  return absl::OkStatus();
}

absl::Status ConfigKeys::Flag(const char* key, bool& value, bool otherwise) const {
  value = otherwise;
  if (!Has(key)) return absl::OkStatus();
  if (!At(key).is_boolean()) return Wrong(absl::StrCat(key, " is not a boolean"));
  value = At(key);
  return absl::OkStatus();
}

absl::StatusOr<ConfigKeys> ConfigKeys::Within(const char* key) const {
  if (!At(key).is_object()) return Wrong(absl::StrCat(key, " is not an object"));
  return ConfigKeys(absl::StrCat(path_, ": ", key), At(key));
}

absl::Status ConfigKeys::Require(const char* key, const Json& value) const {
  if (!Has(key) || At(key) == value) return absl::OkStatus();
  return Unsupported(
      absl::StrCat(key, " is ", At(key).dump(), "; only ", value.dump(), " is supported"));
}

absl::Status ConfigKeys::RequireArchitecture(absl::string_view beginning) const {
  if (!Has("architectures")) return absl::OkStatus();
  const Json& names = At("architectures");
  const auto fits = [&](const Json& name) {
    return name.is_string() && absl::StartsWith(name.get_ref<const std::string&>(), beginning);
  };
  if (names.is_array() && std::all_of(names.begin(), names.end(), fits)) return absl::OkStatus();
  return Unsupported(
      absl::StrCat("architectures is ", names.dump(), "; only ", beginning, " is supported"));
}

}  // namespace waferstream
