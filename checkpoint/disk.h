// The disk as a parameter: what checkpoints and token files need of a file system, so that the
// simulation can put one in its place that fills up, tears writes and loses what was not synced.
//
// Errors name the path. Two adapters: PosixDisk() (posix_disk.h) and MemoryDisk (memory_disk.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

// Tells a file, as it was at one moment, from every other file and from itself after any change; of
// one disk, as far as the system counts changes. Costs no reading.
struct FileStamp {
  std::array<uint64_t, 5> words = {};
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

// An open file. Only positional reads and writes: several processes may write disjoint parts of one
// file. It stays the file it was opened as: when its name is removed or given to another, writes go
// to a file that nobody else sees.
//
// Reading is thread-safe; writing belongs to one thread at a time.
class File {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // As it was opened.
  const std::string& path() const { return path_; }

  virtual absl::StatusOr<uint64_t> Size() const = 0;
  virtual absl::StatusOr<FileStamp> Stamp() const = 0;
  // Exactly `bytes`. DATA_LOSS: the file ends before.
  virtual absl::Status ReadAt(uint64_t offset, void* to, size_t bytes) const = 0;
  // An error may leave a part written.
  virtual absl::Status WriteAt(uint64_t offset, const void* from, size_t bytes) = 0;
  virtual absl::Status Resize(uint64_t bytes) = 0;
  // Returns when everything written through this file is on the disk. Its name is the folder's.
  virtual absl::Status Sync() = 0;

 private:
  const std::string path_;
};

// Held by one holder at a time, whatever process or machine they are in. Ends with this object, and
// with its process, however that ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// A file system as one process sees it. Thread-safe. NOT_FOUND: a path does not exist;
// RESOURCE_EXHAUSTED: no space left; other errors by what the system says.
class Disk {
 public:
  virtual ~Disk() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) = 0;
  // Created when missing, in a folder that must exist; what is there stays.
  virtual absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) = 0;

  // In a folder that must exist; one that is there already is good.
  virtual absl::Status CreateFolder(const std::string& path) = 0;
  // The names in a folder, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // Of the file that has this name now.
  virtual absl::StatusOr<FileStamp> StampOf(const std::string& path) = 0;
  // Whether both exist and are one and the same.
  virtual bool IsSame(const std::string& a, const std::string& b) = 0;

  // With everything in it; not atomic. Something that is not there is removed already.
  virtual absl::Status Remove(const std::string& path) = 0;
  // Atomic: at any moment, and after a crash, all of it has the one name or the other.
  // An error: `to` is a folder with something in it.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // Atomic: each gets the other's name.
  virtual absl::Status Exchange(const std::string& a, const std::string& b) = 0;
  // Makes the names inside a folder durable.
  virtual absl::Status SyncFolder(const std::string& path) = 0;

  // Locks a file, created when missing; does not wait. The file keeps its content. UNAVAILABLE:
  // somebody else holds it. UNIMPLEMENTED: this file system has no locks.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  // Whether anybody holds it, as far as can be told.
  virtual bool IsLocked(const std::string& path) = 0;
};

// Whether an error of a disk may pass by itself: it does not answer, or cannot do what it could a
// moment ago. Otherwise somebody has to put right what was asked for, or to make room.
bool MayPass(const absl::Status& status);

// A whole small file. RESOURCE_EXHAUSTED when it is larger than `bytes_max`.
absl::StatusOr<std::string> ReadSmallFile(Disk& disk, const std::string& path, uint64_t bytes_max);

// Replaces the file's content and makes it durable.
absl::Status WriteSmallFile(Disk& disk, const std::string& path, absl::string_view text);

// Creates a folder and those on the way to it.
absl::Status CreateFolders(Disk& disk, const std::string& path);

}  // namespace waferstream
