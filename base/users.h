// The people who may use a cluster: a file of the controller, in JSON.
//
//   {"users": [{"name": "ada", "role": "submitter", "token_sha256": "…64 hex digits…",
//               "wafers": 8, "queued": 20}]}
//
// A token is 256 random bits that its user shows with every call; the file has its hash alone, and
// what has so many random bits needs no salt and no slow hash.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace waferstream {

// Each may also do what those before it may: look; submit, and change jobs of their own; change
// everybody's jobs, and nodes.
enum class UserRole { kViewer, kSubmitter, kAdmin };
inline constexpr const char* kUserRoles = "viewer|submitter|admin";  // in this order
std::string WordOf(UserRole role);

struct User {
  std::string name = {};
  UserRole role = UserRole::kViewer;
  std::string token_hash = {};  // SHA-256, in hex digits
  int wafers = 0;               // that jobs of this user may have at a time; 0: no bound
  int queued = 0;               // jobs of this user that may wait at a time; 0: no bound
};

// Never given before, nor to be guessed: "wst_" and 64 hex digits.
std::string NewToken();
std::string HashOfToken(absl::string_view token);
// Of a file that is its owner's alone. One line that names it: base/private_file.h, or it has none.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);

// Of the file's text. INVALID_ARGUMENT, naming `where` and the field: JSON of another shape, a name
// or a token twice.
absl::StatusOr<std::vector<User>> ParseUsers(const std::string& where, const std::string& text);
std::string FormatUsers(const std::vector<User>& users);
// A file that only root and the caller's user can change.
absl::StatusOr<std::vector<User>> ReadUsers(const std::string& path);

// Role: the file, read again when it changed. What is no good then is not taken over, and who was
// there is there still; `Trouble` is told, once a change. Thread-safe.
class Users {
 public:
  using Trouble = std::function<void(const std::string& line)>;
  using Changed = std::function<void(const std::vector<User>& users)>;

  // As ReadUsers.
  static absl::StatusOr<std::shared_ptr<Users>> Load(const std::string& path, Trouble trouble);

  // From now on, with every change; `changed` comes from whoever calls Look.
  void OnChange(Changed changed);
  // Reads the file if it is another one than the last time.
  void Look();
  std::vector<User> All() const;
  // Whose token it is, by the last Look; takes as long whosever it is. nullopt: nobody's.
  std::optional<User> Find(absl::string_view token) const;

 private:
  using Stamp = std::pair<int64_t, uint64_t>;

  Users(std::string path, Stamp stamp, std::vector<User> users, Trouble trouble)
      : path_(std::move(path)),
        trouble_(std::move(trouble)),
        stamp_(stamp),
        users_(std::move(users)) {}
  static Stamp StampOf(const std::string& path);

  const std::string path_;
  const Trouble trouble_;
  mutable absl::Mutex mutex_;
  Stamp stamp_ ABSL_GUARDED_BY(mutex_);
  std::vector<User> users_ ABSL_GUARDED_BY(mutex_);
  Changed changed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace waferstream
