#include "checkpoint/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

// Linux moves at most about 2 GiB in one call.
constexpr size_t kCallBytesMax = size_t{1} << 30;

absl::Status Error(int error, absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path));
}

}  // namespace

absl::StatusOr<File> File::OpenForReading(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error(errno, "open", path);
  return File(fd, path);
}

absl::StatusOr<File> File::OpenForWriting(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return Error(errno, "open", path);
  return File(fd, path);
}

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<uint64_t> File::Size() const {
  struct stat status;
  if (fstat(fd_, &status) != 0) return Error(errno, "stat", path_);
  return static_cast<uint64_t>(status.st_size);
}

absl::Status File::ReadAt(uint64_t offset, void* to, size_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = pread(fd_, at, std::min(bytes, kCallBytesMax), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(errno, "read", path_);
    if (n == 0) return absl::DataLossError(absl::StrCat(path_, " ends at byte ", offset));
    at += n;
    offset += n;
    bytes -= n;
  }
  return absl::OkStatus();
}

absl::Status File::WriteAt(uint64_t offset, const void* from, size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = pwrite(fd_, at, std::min(bytes, kCallBytesMax), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(errno, "write", path_);
    at += n;
    offset += n;
    bytes -= n;
  }
  return absl::OkStatus();
}

absl::Status File::Resize(uint64_t bytes) {
  if (ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return Error(errno, "resize", path_);
  return absl::OkStatus();
}

absl::Status File::Sync() {
  if (fsync(fd_) != 0) return Error(errno, "sync", path_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, uint64_t bytes_max) {
  ASSIGN_OR_RETURN(const File file, File::OpenForReading(path));
  ASSIGN_OR_RETURN(const uint64_t bytes, file.Size());
  if (bytes > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", bytes, " bytes, more than the ", bytes_max, " allowed"));
  }
  std::string text(bytes, '\0');
  RETURN_IF_ERROR(file.ReadAt(0, text.data(), bytes));
  return text;
}

absl::Status WriteSmallFile(const std::string& path, absl::string_view text) {
  ASSIGN_OR_RETURN(File file, File::OpenForWriting(path));
  RETURN_IF_ERROR(file.Resize(text.size()));
  RETURN_IF_ERROR(file.WriteAt(0, text.data(), text.size()));
  return file.Sync();
}

absl::Status SyncFolder(const std::string& path) {
  ASSIGN_OR_RETURN(File folder, File::OpenForReading(path));
  return folder.Sync();
}

absl::Status CreateFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error(error.value(), "create folder", path);
  return absl::OkStatus();
}

}  // namespace waferstream
