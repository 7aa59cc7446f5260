// The keys of a config.json, as they are read: each error is one line that names file and key.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

class ConfigKeys {
 public:
  using Json = nlohmann::json;

  // `config` is an object.
  ConfigKeys(std::string path, Json config) : path_(std::move(path)), config_(std::move(config)) {}

  // Whether the key is there, and not null.
  bool Has(const char* key) const;
  // Whether it is there, and says null.
  bool IsNull(const char* key) const;
  // Of a key that is there.
  const Json& At(const char* key) const { return config_.at(key); }

  // DATA_LOSS: it is no positive whole number, or no number, or no boolean; or, without an
  // `otherwise`, not there.
  absl::Status Size(const char* key, uint32_t& value,
                    std::optional<uint32_t> otherwise = std::nullopt) const;
  absl::Status Real(const char* key, double& value, double otherwise) const;
  absl::Status Flag(const char* key, bool& value, bool otherwise) const;

  // Whether the key, if it is there, has the one value that is built in. INVALID_ARGUMENT: no.
  absl::Status Require(const char* key, const Json& value) const;
  // Whether all architectures, if there are any, begin with this.
  absl::Status RequireArchitecture(absl::string_view beginning) const;

  absl::Status Wrong(const std::string& what) const;        // DATA_LOSS
  absl::Status Unsupported(const std::string& what) const;  // INVALID_ARGUMENT
  // The keys of an object within, of a key that is there. DATA_LOSS: it is no object.
  absl::StatusOr<ConfigKeys> Within(const char* key) const;

 private:
  std::string path_;
  Json config_;
};

}  // namespace waferstream
