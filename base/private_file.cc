#include "base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/regular_file.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status CheckOwner(const std::string& path, const struct stat& file) {
  if (file.st_uid == geteuid() || file.st_uid == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(path, ": belongs to another user (", file.st_uid, "), who can change it"));
}

// A secret of Kubernetes is root's, and of a group that the pod alone is in (fsGroup): whoever
// gives a file to a process that is not root has no other way to hand it over.
bool IsHandedToGroup(const struct stat& file) { return file.st_uid == 0 && geteuid() != 0; }

// `forbidden`: the bits of a mode by which others can do `what`, which `remedy` takes away.
absl::StatusOr<std::string> ReadOwned(const std::string& path, size_t bytes_max, mode_t forbidden,
                                      const char* what, const char* remedy) {
  ASSIGN_OR_RETURN(const Fd file, OpenRegularFile(path));
  struct stat about;
  if (fstat(file.get(), &about) != 0) return ErrnoStatus(errno, path);
  RETURN_IF_ERROR(CheckOwner(path, about));
  if (IsHandedToGroup(about)) forbidden &= ~static_cast<mode_t>(S_IRGRP);
  if ((about.st_mode & forbidden) == 0) return ReadAll(file, path, bytes_max);
  return absl::PermissionDeniedError(
      absl::StrFormat("%s: others can %s it (mode %04o); `chmod %s` it", path, what,
                      about.st_mode & 07777, remedy));
}

absl::Status WriteAll(int file, const std::string& path, const std::string& text, mode_t mode) {
  if (fchmod(file, mode) != 0) return ErrnoStatus(errno, path);
  const ssize_t written = write(file, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return absl::OkStatus();
  return ErrnoStatus(written < 0 ? errno : ENOSPC, path);
}

}  // namespace

absl::Status MakeNewFile(const std::string& path, const std::string& text, mode_t mode) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file.valid()) return ErrnoStatus(errno, path);
  absl::Status written = WriteAll(file.get(), path, text, mode);
  if (!written.ok()) unlink(path.c_str());
  return written;
}

absl::Status ReplaceFile(const std::string& path, const std::string& text, mode_t mode) {
  const std::string fresh = path + ".new";
  RETURN_IF_ERROR(MakeNewFile(fresh, text, mode));
  if (rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  unlink(fresh.c_str());
  return ErrnoStatus(error, path);
}

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path, size_t bytes_max) {
  return ReadOwned(path, bytes_max, 077, "read or change", "600");
}

absl::StatusOr<std::string> ReadTrustedFile(const std::string& path, size_t bytes_max) {
  return ReadOwned(path, bytes_max, 022, "change", "go-w");
}

}  // namespace waferstream
