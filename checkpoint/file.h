// A file descriptor that closes itself, and whose errors name the path.
//
// Only positional reads and writes: several processes may write disjoint parts of one file. Never a
// shared mapping: on a network file system a dirty page would carry a neighbour's bytes back, and a
// full disk would be a signal instead of an error.
//
// A File may be read from any thread; writing belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

class File {
 public:
  // NOT_FOUND and the like, by errno.
  static absl::StatusOr<File> OpenForReading(const std::string& path);
  // Created when missing; what is there stays.
  static absl::StatusOr<File> OpenForWriting(const std::string& path);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::string& path() const { return path_; }
  absl::StatusOr<uint64_t> Size() const;

  // Exactly `bytes`. DATA_LOSS: the file ends before.
  absl::Status ReadAt(uint64_t offset, void* to, size_t bytes) const;
  absl::Status WriteAt(uint64_t offset, const void* from, size_t bytes);
  absl::Status Resize(uint64_t bytes);
  // Returns when everything written is on the disk.
  absl::Status Sync();

 private:
  File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_ = -1;
  std::string path_;
};

// A whole small file. RESOURCE_EXHAUSTED when it is larger than `bytes_max`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, uint64_t bytes_max);

// Replaces the file's content and makes it durable.
absl::Status WriteSmallFile(const std::string& path, absl::string_view text);

// Makes the names inside a folder durable.
absl::Status SyncFolder(const std::string& path);

absl::Status CreateFolders(const std::string& path);

}  // namespace waferstream
