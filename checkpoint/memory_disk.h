// The disk of the chaos simulation: a shared file system in memory, with crashes and faults.
//
// Every simulated process has its own view of one tree. All of them see what any of them did at
// once, as on a network file system; what differs is what outlives a crash:
//  - the bytes of a file are durable after File::Sync by the process that wrote them;
//  - the names in a folder are durable after SyncFolder by any process, and every name given or
//    taken before them too: they live on the server, which keeps a journal.
// Crash() of a view lets each thing that its process did and that is not durable stay, vanish, or
// (a write) stay in part, by a draw for each. Nothing of another process is lost. A rename or an
// exchange is one thing, also across two folders, as a journaling file system has it.
//
// 1. The tree now = the durable tree + every entry of the log, in order.
// 2. An entry becomes durable only after all earlier ones that touch the same file or folder.
//
// Deterministic: same seed, same calls, same tree. Calls may come from any thread, one after the
// other or not, but their order is part of the outcome: what must replay calls from one at a time.
// Lifecycle: the tree outlives its views, a view the files opened through it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "checkpoint/disk.h"

namespace waferstream {

enum class DiskOp {
  kOpen,
  kRead,
  kWrite,
  kResize,
  kSync,
  kCreateFolder,
  kList,
  kRemove,
  kRename,
  kSyncFolder,
};

struct DiskFault {
  absl::Status status;       // not OK: the operation fails with it and does nothing else
  size_t written_bytes = 0;  // but a kWrite has written so many bytes before
};

class MemoryDisk {
 public:
  class View;
  // Asked before every operation of a view. Removing asks for every name that goes.
  using FaultHook = std::function<DiskFault(DiskOp op, const std::string& path)>;

  explicit MemoryDisk(uint64_t seed) : seed_(seed) {}

 private:
  friend class View;
  class OpenFile;
  class HeldLock;

  // A file or a folder. `now` is what views see, `durable` what a crash of all of them leaves.
  struct Node {
    struct Content {
      std::string bytes;                                   // of a file
      std::map<std::string, std::shared_ptr<Node>> names;  // of a folder
    };
    Node(bool is_folder, uint64_t number) : folder(is_folder), id(number) {}
    const bool folder;
    const uint64_t id;
    uint64_t changes = 0;  // of `now`
    Content now, durable;
  };
  using NodePtr = std::shared_ptr<Node>;

  // `name` in `folder` becomes `node`; null: nothing.
  struct NameEdit {
    NodePtr folder;
    std::string name;
    NodePtr node;
  };

  // One change that is not durable yet: names, or the bytes of one file.
  struct Entry {
    const View* view = nullptr;  // null: outlives any crash, and only waits for an earlier entry
    std::vector<NameEdit> edits;
    NodePtr file;
    std::optional<uint64_t> resize;
    uint64_t offset = 0;
    std::string bytes;
  };

  static void Apply(const Entry& entry, Node::Content Node::*image);
  static FileStamp StampOf(const Node& file) { return {{file.id, file.changes}}; }
  // The file or the folders that it changes.
  static std::vector<Node*> NodesOf(const Entry& entry);
  NodePtr Find(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Add(Entry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes durable what no earlier entry holds back.
  void Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Crash(const View* view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What a crash leaves of an entry; false: nothing.
  bool Survives(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t seed_;
  absl::Mutex mutex_;
  const NodePtr root_ = std::make_shared<Node>(true, 0);
  std::vector<Entry> log_ ABSL_GUARDED_BY(mutex_);
  uint64_t draws_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t nodes_ ABSL_GUARDED_BY(mutex_) = 1;  // ever made
  std::map<NodePtr, const HeldLock*> locks_ ABSL_GUARDED_BY(mutex_);
};

// The disk as one process has it. A process that starts again gets a new one.
class MemoryDisk::View final : public Disk {
 public:
  // `tree` must outlive the view. No hook: nothing fails.
  explicit View(MemoryDisk& tree, FaultHook hook = nullptr) : tree_(tree), hook_(std::move(hook)) {}

  // The process is gone: what it did and did not make durable is kept, lost or torn, its locks are
  // free, and every later call of this view and its files fails with ABORTED and changes nothing.
  void Crash();

  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override;
  absl::Status CreateFolder(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::StatusOr<FileStamp> StampOf(const std::string& path) override;
  bool IsSame(const std::string& a, const std::string& b) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Exchange(const std::string& a, const std::string& b) override;
  absl::Status SyncFolder(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  bool IsLocked(const std::string& path) override;

 private:
  friend class OpenFile;

  // Asks the hook, before the tree is locked.
  DiskFault Ask(DiskOp op, const std::string& path) const;
  absl::Status Check(DiskOp op, const std::string& path) const { return Ask(op, path).status; }
  void AddNames(std::vector<NameEdit> edits) ABSL_EXCLUSIVE_LOCKS_REQUIRED(tree_.mutex_);
  // The folder that holds the last name of `path`.
  absl::StatusOr<NodePtr> ParentOf(const std::string& path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(tree_.mutex_);
  absl::StatusOr<NodePtr> Create(const std::string& path, bool folder)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(tree_.mutex_);

  MemoryDisk& tree_;
  const FaultHook hook_;
  bool crashed_ ABSL_GUARDED_BY(tree_.mutex_) = false;
};

}  // namespace waferstream
