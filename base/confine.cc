#include "base/confine.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kRead = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
// Of what the first version knows, all but making devices, which needs more rights anyhow.
constexpr uint64_t kChange = kWriteFile | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                             LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                             LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM;
constexpr uint64_t kNever = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                            LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                            LANDLOCK_ACCESS_FS_MAKE_FIFO;
// To move something to another folder; a kernel that does not know it refuses that always.
constexpr uint64_t kMove = LANDLOCK_ACCESS_FS_REFER;

// 0: there is none.
int KernelVersion() {
  const auto version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

// A rule for a file may only give the rights that files have.
absl::Status Allow(const Fd& rules, const std::string& path, uint64_t rights) {
  const Fd target(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!target.valid()) return absl::OkStatus();
  struct stat about;
  if (fstat(target.get(), &about) != 0) return ErrnoStatus(errno, path);
  landlock_path_beneath_attr rule = {};
  rule.parent_fd = target.get();
  rule.allowed_access = S_ISDIR(about.st_mode) ? rights : rights & (kReadFile | kWriteFile);
  if (syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, path);
}

}  // namespace

bool CanConfine() { return KernelVersion() > 0; }

ConfineTerms SystemFiles() {
  return {.writable = {"/dev/null"},
          .readable = {"/proc", "/sys", "/usr", "/lib", "/lib64", "/dev/urandom", "/dev/random",
                       "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/resolv.conf",
                       "/etc/gai.conf", "/etc/services", "/etc/localtime", "/etc/passwd",
                       "/etc/ld.so.cache", "/etc/ssl"}};
}

absl::StatusOr<bool> ConfineFiles(const ConfineTerms& terms) {
  const int version = KernelVersion();
  if (version == 0) return false;
  const uint64_t move = version >= 2 ? kMove : 0;
  landlock_ruleset_attr handled = {};
  handled.handled_access_fs = kRead | kChange | kNever | move;
  const Fd rules(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!rules.valid()) return ErrnoStatus(errno, "Landlock");
  for (const std::string& path : terms.readable) RETURN_IF_ERROR(Allow(rules, path, kRead));
  for (const std::string& path : terms.writable) {
    RETURN_IF_ERROR(Allow(rules, path, kRead | kChange | move));
  }
  // Without it only root may confine itself.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "Landlock");
  if (syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    return ErrnoStatus(errno, "Landlock");
  }
  return true;
}

absl::Status ConfineToRoots(const std::vector<std::string>& roots, const ConfineTerms& beside,
                            const std::function<void(const std::string& line)>& log) {
  if (roots.empty()) return absl::OkStatus();
  ConfineTerms terms = SystemFiles();
  terms.writable.insert(terms.writable.end(), roots.begin(), roots.end());
  terms.writable.insert(terms.writable.end(), beside.writable.begin(), beside.writable.end());
  terms.readable.insert(terms.readable.end(), beside.readable.begin(), beside.readable.end());
  ASSIGN_OR_RETURN(const bool confined, ConfineFiles(terms));
  const std::string where = absl::StrJoin(roots, ", ");
  log(confined ? absl::StrCat("files are opened below ", where, " alone, as the kernel sees to it")
               : absl::StrCat("this kernel has no Landlock: that jobs' files are below ", where,
                              " is looked at when a job is submitted, and not again"));
  return absl::OkStatus();
}

std::string FolderOf(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace waferstream
