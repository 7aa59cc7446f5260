#include "base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status SystemError(const std::string& path, int error) {
  const std::string what = absl::StrCat(path, ": ", std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(what) : ErrnoStatus(error, path);
}

const char* NameOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

absl::Status CheckRegular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": is ", NameOf(info.st_mode), ", not a file"));
}

}  // namespace

absl::StatusOr<Fd> OpenRegularFile(const std::string& path) {
  // The system would read up to the first zero byte only.
  if (path.empty() || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path, "\": is not a path"));
  }
  struct stat info;
  // Before the file is touched: the mere opening of some devices does something.
  if (stat(path.c_str(), &info) != 0) return SystemError(path, errno);
  RETURN_IF_ERROR(CheckRegular(path, info));
  // And again after it, because a name can get another file in between; then not to wait matters.
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid() || fstat(file.get(), &info) != 0) return SystemError(path, errno);
  RETURN_IF_ERROR(CheckRegular(path, info));
  return file;
}

absl::StatusOr<std::string> ReadRegularFile(const std::string& path, size_t bytes_max) {
  ASSIGN_OR_RETURN(const Fd file, OpenRegularFile(path));
  return ReadAll(file, path, bytes_max);
}

absl::StatusOr<std::string> ReadAll(const Fd& file, const std::string& path, size_t bytes_max) {
  std::string text;
  char buffer[16384];
  for (;;) {
    // One byte more than allowed is enough to see that there is more.
    const size_t want = std::min(sizeof(buffer), bytes_max + 1 - text.size());
    const ssize_t n = read(file.get(), buffer, want);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(path, errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > bytes_max) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": holds more than ", bytes_max, " bytes"));
    }
  }
}

absl::Status CheckAppendable(const std::string& path) {
  const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const Fd file(open(path.c_str(), flags));
  if (file.valid() || errno == ENOENT) return absl::OkStatus();  // or it will be made
  if (errno == ENXIO) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a FIFO or socket without a reader"));
  }
  return SystemError(path, errno);
}

}  // namespace waferstream
