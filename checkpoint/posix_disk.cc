#include "checkpoint/posix_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/regular_file.h"
#include "base/status.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

// Linux moves at most about 2 GiB in one call.
constexpr size_t kCallBytesMax = size_t{1} << 30;

absl::Status Error(int error, absl::string_view what, const std::string& path) {
  return ErrnoStatus(error, absl::StrCat("cannot ", what, " ", path));
}

uint64_t Nanoseconds(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

// The time of the last change of the inode is what nobody can set back.
FileStamp StampFrom(const struct stat& status) {
  return {{status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size),
           Nanoseconds(status.st_mtim), Nanoseconds(status.st_ctim)}};
}

class PosixFile final : public File {
 public:
  PosixFile(Fd fd, std::string path) : File(std::move(path)), fd_(std::move(fd)) {}

  absl::StatusOr<uint64_t> Size() const override;
  absl::StatusOr<FileStamp> Stamp() const override;
  absl::Status ReadAt(uint64_t offset, void* to, size_t bytes) const override;
  absl::Status WriteAt(uint64_t offset, const void* from, size_t bytes) override;
  absl::Status Resize(uint64_t bytes) override;
  absl::Status Sync() override;

 private:
  const Fd fd_;
};

absl::StatusOr<uint64_t> PosixFile::Size() const {
  struct stat status;
  if (fstat(fd_.get(), &status) != 0) return Error(errno, "stat", path());
  return static_cast<uint64_t>(status.st_size);
}

absl::StatusOr<FileStamp> PosixFile::Stamp() const {
  struct stat status;
  if (fstat(fd_.get(), &status) != 0) return Error(errno, "stat", path());
  return StampFrom(status);
}

absl::Status PosixFile::ReadAt(uint64_t offset, void* to, size_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n =
        pread(fd_.get(), at, std::min(bytes, kCallBytesMax), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(errno, "read", path());
    if (n == 0) return absl::DataLossError(absl::StrCat(path(), " ends at byte ", offset));
    at += n;
    offset += n;
    bytes -= n;
  }
  return absl::OkStatus();
}

absl::Status PosixFile::WriteAt(uint64_t offset, const void* from, size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n =
        pwrite(fd_.get(), at, std::min(bytes, kCallBytesMax), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(errno, "write", path());
    at += n;
    offset += n;
    bytes -= n;
  }
  return absl::OkStatus();
}

absl::Status PosixFile::Resize(uint64_t bytes) {
  if (ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) return Error(errno, "resize", path());
  return absl::OkStatus();
}

absl::Status PosixFile::Sync() {
  if (fsync(fd_.get()) != 0) return Error(errno, "sync", path());
  return absl::OkStatus();
}

// A lock of an open file description (F_OFD_SETLK): the kernel frees it when the last descriptor is
// closed, and NFS knows it as well.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Fd fd) : fd_(std::move(fd)) {}

  // 0, or the error.
  int Take() const {
    struct flock whole = WholeFile();
    return fcntl(fd_.get(), F_OFD_SETLK, &whole) == 0 ? 0 : errno;
  }
  // Whether `path` still is the file that was locked: its last holder may have removed it.
  bool Is(const std::string& path) const {
    struct stat mine, there;
    return fstat(fd_.get(), &mine) == 0 && stat(path.c_str(), &there) == 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
  }

  static struct flock WholeFile() {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
  }

 private:
  const Fd fd_;
};

class SystemDisk final : public Disk {
 public:
  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override {
    ASSIGN_OR_RETURN(Fd fd, OpenRegularFile(path));
    return std::make_unique<PosixFile>(std::move(fd), path);
  }
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override {
    // A FIFO of that name is an error, not something to wait at.
    return Open(path, O_WRONLY | O_CREAT | O_NONBLOCK);
  }

  absl::Status CreateFolder(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::StatusOr<FileStamp> StampOf(const std::string& path) override;
  bool IsSame(const std::string& a, const std::string& b) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return Rename(from, to, 0);
  }
  absl::Status Exchange(const std::string& a, const std::string& b) override {
    return Rename(a, b, RENAME_EXCHANGE);
  }
  absl::Status SyncFolder(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  bool IsLocked(const std::string& path) override;

 private:
  static absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, int flags);
  static absl::Status Rename(const std::string& from, const std::string& to, unsigned flags);
};

absl::StatusOr<std::unique_ptr<File>> SystemDisk::Open(const std::string& path, int flags) {
  Fd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!fd.valid()) return Error(errno, "open", path);
  return std::make_unique<PosixFile>(std::move(fd), path);
}

absl::Status SystemDisk::CreateFolder(const std::string& path) {
  std::error_code error;
  fs::create_directory(path, error);
  return error ? Error(error.value(), "create folder", path) : absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SystemDisk::List(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return Error(error.value(), "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<FileStamp> SystemDisk::StampOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return Error(errno, "stat", path);
  return StampFrom(status);
}

bool SystemDisk::Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool SystemDisk::IsSame(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored);
}

absl::Status SystemDisk::Remove(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? Error(error.value(), "remove", path) : absl::OkStatus();
}

absl::Status SystemDisk::Rename(const std::string& from, const std::string& to, unsigned flags) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot rename ", from, " to ", to));
}

absl::Status SystemDisk::SyncFolder(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> folder, Open(path, O_RDONLY | O_DIRECTORY));
  return folder->Sync();
}

absl::StatusOr<std::unique_ptr<FileLock>> SystemDisk::Lock(const std::string& path) {
  while (true) {
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!fd.valid()) return Error(errno, "open", path);
    auto lock = std::make_unique<PosixLock>(std::move(fd));
    const int error = lock->Take();
    if (error == EAGAIN || error == EACCES) {
      return absl::UnavailableError(absl::StrCat(path, " is locked"));
    }
    if (error != 0) return absl::UnimplementedError(absl::StrCat(path, " cannot be locked"));
    if (lock->Is(path)) return lock;
  }
}

bool SystemDisk::IsLocked(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct flock lock = PosixLock::WholeFile();
  return fd.valid() && fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

Disk& PosixDisk() {
  static SystemDisk disk;
  return disk;
}

}  // namespace waferstream
