#include "base/users.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/cluster_secret.h"
#include "base/json.h"
#include "base/private_file.h"
#include "base/status.h"
#include "base/user_input.h"

namespace waferstream {
namespace {

constexpr size_t kUsersBytesMax = 16 << 20;
constexpr size_t kTokenBytesMax = 1024;
constexpr size_t kHashDigits = 64;
constexpr int kQuotaMax = 1'000'000;

using Json = nlohmann::json;

absl::Status Wrong(const std::string& where, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

absl::StatusOr<std::string> TextOf(const std::string& field, const Json& user, const char* name) {
  const auto found = user.find(name);
  if (found == user.end() || !found->is_string()) {
    return Wrong(absl::StrCat(field, ".", name), "is missing, or no text");
  }
  return found->get<std::string>();
}

// Absent: 0.
absl::StatusOr<int> QuotaOf(const std::string& field, const Json& user, const char* name) {
  const auto found = user.find(name);
  if (found == user.end()) return 0;
  if (found->is_number_unsigned() && found->get<uint64_t>() <= kQuotaMax) return found->get<int>();
  return Wrong(absl::StrCat(field, ".", name),
               absl::StrCat("is not a whole number of at most ", kQuotaMax));
}

absl::Status CheckHash(const std::string& field, const std::string& hash) {
  const bool hex = std::all_of(hash.begin(), hash.end(), absl::ascii_isxdigit);
  if (hex && hash.size() == kHashDigits) return absl::OkStatus();
  return Wrong(field + ".token_sha256", "is not 64 hex digits");
}

absl::Status CheckFields(const std::string& field, const Json& user) {
  static const std::set<std::string> known = {"name", "role", "token_sha256", "wafers", "queued"};
  if (!user.is_object()) return Wrong(field, "is not an object");
  for (const auto& [name, value] : user.items()) {
    if (!known.contains(name)) return Wrong(absl::StrCat(field, ".", name), "is not known");
  }
  return absl::OkStatus();
}

absl::StatusOr<User> UserOf(const std::string& field, const Json& json) {
  RETURN_IF_ERROR(CheckFields(field, json));
  User user;
  ASSIGN_OR_RETURN(user.name, TextOf(field, json, "name"));
  RETURN_IF_ERROR(CheckName(field + ".name", user.name));
  ASSIGN_OR_RETURN(const std::string role, TextOf(field, json, "role"));
  ASSIGN_OR_RETURN(const size_t word, ParseWord(field + ".role", role, kUserRoles));
  user.role = static_cast<UserRole>(word);
  ASSIGN_OR_RETURN(user.token_hash, TextOf(field, json, "token_sha256"));
  RETURN_IF_ERROR(CheckHash(field, user.token_hash));
  absl::AsciiStrToLower(&user.token_hash);
  ASSIGN_OR_RETURN(user.wafers, QuotaOf(field, json, "wafers"));
  ASSIGN_OR_RETURN(user.queued, QuotaOf(field, json, "queued"));
  return user;
}

}  // namespace

std::string WordOf(UserRole role) {
  const std::vector<std::string> words = absl::StrSplit(kUserRoles, '|');
  return words[static_cast<size_t>(role)];
}

std::string NewToken() { return absl::StrCat("wst_", Nonce(), Nonce()); }

std::string HashOfToken(absl::string_view token) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  WS_CHECK(EVP_Digest(token.data(), token.size(), hash, &size, EVP_sha256(), nullptr) == 1);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(hash), size));
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadPrivateFile(path, kTokenBytesMax));
  const std::string token(absl::StripAsciiWhitespace(text));
  const bool sendable = std::all_of(token.begin(), token.end(), absl::ascii_isgraph);
  if (sendable && !token.empty()) return token;
  return Wrong(path, "holds no token (one line, as `waferctl users add` writes it)");
}

absl::StatusOr<std::vector<User>> ParseUsers(const std::string& where, const std::string& text) {
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return Wrong(where, std::string(json.status().message()));
  if (!json->is_object() || json->size() != 1 || !json->contains("users") ||
      !(*json)["users"].is_array()) {
    return Wrong(where, "is not an object with a list of \"users\" and nothing else");
  }
  std::vector<User> users;
  std::set<std::string> names, hashes;
  for (const Json& entry : (*json)["users"]) {
    const std::string field = absl::StrCat(where, ": users[", users.size(), "]");
    ASSIGN_OR_RETURN(User user, UserOf(field, entry));
    if (!names.insert(user.name).second) return Wrong(field, user.name + " is there twice");
    if (!hashes.insert(user.token_hash).second) return Wrong(field, "has another user's token");
    users.push_back(std::move(user));
  }
  return users;
}

std::string FormatUsers(const std::vector<User>& users) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const User& user : users) {
    nlohmann::ordered_json entry = {
        {"name", user.name}, {"role", WordOf(user.role)}, {"token_sha256", user.token_hash}};
    if (user.wafers > 0) entry["wafers"] = user.wafers;
    if (user.queued > 0) entry["queued"] = user.queued;
    list.push_back(std::move(entry));
  }
  return nlohmann::ordered_json{{"users", std::move(list)}}.dump(2) + "\n";
}

absl::StatusOr<std::vector<User>> ReadUsers(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTrustedFile(path, kUsersBytesMax));
  return ParseUsers(path, text);
}

Users::Stamp Users::StampOf(const std::string& path) {
  struct stat about = {};
  if (stat(path.c_str(), &about) != 0) return {};
  return {about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec, about.st_ino};
}

absl::StatusOr<std::shared_ptr<Users>> Users::Load(const std::string& path, Trouble trouble) {
  const Stamp stamp = StampOf(path);
  ASSIGN_OR_RETURN(std::vector<User> users, ReadUsers(path));
  return std::shared_ptr<Users>(new Users(path, stamp, std::move(users), std::move(trouble)));
}

void Users::OnChange(Changed changed) {
  absl::MutexLock lock(&mutex_);
  changed_ = std::move(changed);
}

void Users::Look() {
  const Stamp now = StampOf(path_);
  absl::MutexLock lock(&mutex_);
  if (now == stamp_) return;
  stamp_ = now;
  absl::StatusOr<std::vector<User>> anew = ReadUsers(path_);
  if (!anew.ok()) {
    return trouble_(absl::StrCat("the users stay as they were: ", anew.status().message()));
  }
  users_ = *std::move(anew);
  if (changed_) changed_(users_);
}

std::vector<User> Users::All() const {
  absl::MutexLock lock(&mutex_);
  return users_;
}

std::optional<User> Users::Find(absl::string_view token) const {
  const std::string hash = HashOfToken(token);
  absl::MutexLock lock(&mutex_);
  const User* found = nullptr;
  for (const User& user : users_) {
    const bool same = CRYPTO_memcmp(user.token_hash.data(), hash.data(), kHashDigits) == 0;
    if (same) found = &user;
  }
  if (found == nullptr) return std::nullopt;
  return *found;
}

}  // namespace waferstream
