#include "checkpoint/memory_disk.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/philox.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status NotFound(const std::string& path) {
  return absl::NotFoundError(absl::StrCat(path, ": no such file or folder"));
}

absl::Status Dead(const std::string& path) {
  return absl::AbortedError(absl::StrCat(path, ": the process has crashed"));
}

// The names on the way from the root.
std::vector<std::string> PartsOf(const std::string& path) {
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  std::erase(parts, ".");
  return parts;
}

}  // namespace

// -- the tree ----------------------------------------------------------------------------------

void MemoryDisk::Apply(const Entry& entry, Node::Content Node::*image) {
  for (const NameEdit& edit : entry.edits) {
    auto& names = ((*edit.folder).*image).names;
    if (edit.node != nullptr) {
      names[edit.name] = edit.node;
    } else {
      names.erase(edit.name);
    }
  }
  if (entry.file == nullptr) return;
  ++entry.file->changes;
  std::string& bytes = ((*entry.file).*image).bytes;
  if (entry.resize) bytes.resize(*entry.resize);
  if (entry.bytes.empty()) return;
  bytes.resize(std::max<size_t>(bytes.size(), entry.offset + entry.bytes.size()));
  std::memcpy(bytes.data() + entry.offset, entry.bytes.data(), entry.bytes.size());
}

std::vector<MemoryDisk::Node*> MemoryDisk::NodesOf(const Entry& entry) {
  std::vector<Node*> nodes;
  if (entry.file != nullptr) nodes.push_back(entry.file.get());
  for (const NameEdit& edit : entry.edits) nodes.push_back(edit.folder.get());
  return nodes;
}

MemoryDisk::NodePtr MemoryDisk::Find(const std::string& path) const {
  NodePtr node = root_;
  for (const std::string& part : PartsOf(path)) {
    const auto found = node->now.names.find(part);
    if (found == node->now.names.end()) return nullptr;
    node = found->second;
  }
  return node;
}

void MemoryDisk::Add(Entry entry) {
  Apply(entry, &Node::now);
  log_.push_back(std::move(entry));
}

void MemoryDisk::Settle() {
  std::vector<Entry> rest;
  std::set<const Node*> held;  // touched by an entry of `rest`
  for (Entry& entry : log_) {
    const std::vector<Node*> nodes = NodesOf(entry);
    const bool waits =
        entry.view != nullptr || std::any_of(nodes.begin(), nodes.end(),
                                             [&](const Node* node) { return held.contains(node); });
    if (waits) {
      held.insert(nodes.begin(), nodes.end());
      rest.push_back(std::move(entry));
    } else {
      Apply(entry, &Node::durable);
    }
  }
  log_ = std::move(rest);
}

bool MemoryDisk::Survives(Entry& entry) {
  const auto draw = Philox(seed_, Purpose::kFault, 0, draws_++);
  const uint32_t kind = draw[0] % 3;
  if (kind == 1) entry.bytes.resize(draw[1] % (entry.bytes.size() + 1));
  // Names have no part that could stay.
  return kind == 0 || (kind == 1 && entry.file != nullptr);
}

void MemoryDisk::Crash(const View* view) {
  // What no entry touches is durable as it is.
  for (const Entry& entry : log_) {
    for (Node* node : NodesOf(entry)) {
      node->now = node->durable;
      ++node->changes;
    }
  }
  std::vector<Entry> rest;
  for (Entry& entry : log_) {
    if (entry.view == view) {
      if (!Survives(entry)) continue;
      entry.view = nullptr;
    }
    rest.push_back(std::move(entry));
  }
  log_ = std::move(rest);
  for (const Entry& entry : log_) Apply(entry, &Node::now);
  Settle();
}

// -- an open file ------------------------------------------------------------------------------

class MemoryDisk::OpenFile final : public File {
 public:
  OpenFile(View& view, NodePtr node, const std::string& path)
      : File(path), view_(view), node_(std::move(node)) {}

  absl::StatusOr<uint64_t> Size() const override {
    RETURN_IF_ERROR(view_.Check(DiskOp::kRead, path()));
    absl::MutexLock lock(&view_.tree_.mutex_);
    return node_->now.bytes.size();
  }

  absl::StatusOr<FileStamp> Stamp() const override {
    RETURN_IF_ERROR(view_.Check(DiskOp::kRead, path()));
    absl::MutexLock lock(&view_.tree_.mutex_);
    return StampOf(*node_);
  }

  absl::Status ReadAt(uint64_t offset, void* to, size_t bytes) const override {
    RETURN_IF_ERROR(view_.Check(DiskOp::kRead, path()));
    absl::MutexLock lock(&view_.tree_.mutex_);
    const std::string& from = node_->now.bytes;
    if (offset > from.size() || bytes > from.size() - offset) {
      return absl::DataLossError(absl::StrCat(path(), " ends at byte ", from.size()));
    }
    if (bytes > 0) std::memcpy(to, from.data() + offset, bytes);
    return absl::OkStatus();
  }

  absl::Status WriteAt(uint64_t offset, const void* from, size_t bytes) override {
    const DiskFault fault = view_.Ask(DiskOp::kWrite, path());
    if (!fault.status.ok()) bytes = std::min(bytes, fault.written_bytes);
    Entry entry;
    entry.offset = offset;
    entry.bytes.assign(static_cast<const char*>(from), bytes);
    const absl::Status status = Add(std::move(entry));
    return fault.status.ok() ? status : fault.status;
  }

  absl::Status Resize(uint64_t bytes) override {
    RETURN_IF_ERROR(view_.Check(DiskOp::kResize, path()));
    Entry entry;
    entry.resize = bytes;
    return Add(std::move(entry));
  }

  absl::Status Sync() override {
    RETURN_IF_ERROR(view_.Check(DiskOp::kSync, path()));
    absl::MutexLock lock(&view_.tree_.mutex_);
    for (Entry& entry : view_.tree_.log_) {
      if (entry.view == &view_ && entry.file == node_) entry.view = nullptr;
    }
    view_.tree_.Settle();
    return absl::OkStatus();
  }

 private:
  absl::Status Add(Entry entry) {
    absl::MutexLock lock(&view_.tree_.mutex_);
    if (view_.crashed_) return Dead(path());
    entry.view = &view_;
    entry.file = node_;
    view_.tree_.Add(std::move(entry));
    return absl::OkStatus();
  }

  View& view_;
  const NodePtr node_;
};

// -- a lock ------------------------------------------------------------------------------------

class MemoryDisk::HeldLock final : public FileLock {
 public:
  HeldLock(MemoryDisk& tree, const View* view, NodePtr node)
      : tree_(tree), view_(view), node_(std::move(node)) {}
  ~HeldLock() override {
    absl::MutexLock lock(&tree_.mutex_);
    const auto held = tree_.locks_.find(node_);
    if (held != tree_.locks_.end() && held->second == this) tree_.locks_.erase(held);
  }
  const View* view() const { return view_; }

 private:
  MemoryDisk& tree_;
  const View* const view_;
  const NodePtr node_;
};

// -- a view ------------------------------------------------------------------------------------

void MemoryDisk::View::Crash() {
  absl::MutexLock lock(&tree_.mutex_);
  crashed_ = true;
  std::erase_if(tree_.locks_, [&](const auto& held) { return held.second->view() == this; });
  tree_.Crash(this);
}

DiskFault MemoryDisk::View::Ask(DiskOp op, const std::string& path) const {
  {
    absl::MutexLock lock(&tree_.mutex_);
    if (crashed_) return {Dead(path)};
  }
  return hook_ ? hook_(op, path) : DiskFault{};
}

void MemoryDisk::View::AddNames(std::vector<NameEdit> edits) {
  Entry entry;
  entry.view = this;
  entry.edits = std::move(edits);
  tree_.Add(std::move(entry));
}

absl::StatusOr<MemoryDisk::NodePtr> MemoryDisk::View::ParentOf(const std::string& path) const {
  const NodePtr parent = tree_.Find(std::filesystem::path(path).parent_path().string());
  if (parent == nullptr || !parent->folder) return NotFound(path);
  return parent;
}

absl::StatusOr<MemoryDisk::NodePtr> MemoryDisk::View::Create(const std::string& path, bool folder) {
  if (crashed_) return Dead(path);
  if (NodePtr there = tree_.Find(path)) {
    if (there->folder == folder) return there;
    return absl::FailedPreconditionError(
        absl::StrCat(path, folder ? " is not a folder" : " is a folder"));
  }
  ASSIGN_OR_RETURN(const NodePtr parent, ParentOf(path));
  const auto node = std::make_shared<Node>(folder, tree_.nodes_++);
  AddNames({{parent, PartsOf(path).back(), node}});
  return node;
}

absl::StatusOr<std::unique_ptr<File>> MemoryDisk::View::OpenForReading(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kOpen, path));
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(path);
  if (node == nullptr || node->folder) return NotFound(path);
  return std::make_unique<OpenFile>(*this, node, path);
}

absl::StatusOr<std::unique_ptr<File>> MemoryDisk::View::OpenForWriting(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kOpen, path));
  absl::MutexLock lock(&tree_.mutex_);
  ASSIGN_OR_RETURN(const NodePtr node, Create(path, /*folder=*/false));
  return std::make_unique<OpenFile>(*this, node, path);
}

absl::Status MemoryDisk::View::CreateFolder(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kCreateFolder, path));
  absl::MutexLock lock(&tree_.mutex_);
  return Create(path, /*folder=*/true).status();
}

absl::StatusOr<std::vector<std::string>> MemoryDisk::View::List(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kList, path));
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(path);
  if (node == nullptr || !node->folder) return NotFound(path);
  std::vector<std::string> names;
  for (const auto& [name, unused] : node->now.names) names.push_back(name);
  return names;
}

bool MemoryDisk::View::Exists(const std::string& path) {
  absl::MutexLock lock(&tree_.mutex_);
  return tree_.Find(path) != nullptr;
}

absl::StatusOr<FileStamp> MemoryDisk::View::StampOf(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kRead, path));
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(path);
  return node != nullptr ? absl::StatusOr<FileStamp>(MemoryDisk::StampOf(*node)) : NotFound(path);
}

bool MemoryDisk::View::IsSame(const std::string& a, const std::string& b) {
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(a);
  return node != nullptr && node == tree_.Find(b);
}

absl::Status MemoryDisk::View::Remove(const std::string& path) {
  std::vector<std::string> names;
  {
    absl::MutexLock lock(&tree_.mutex_);
    const NodePtr node = tree_.Find(path);
    if (node == nullptr) return crashed_ ? Dead(path) : absl::OkStatus();
    for (const auto& [name, unused] : node->now.names) names.push_back(name);
  }
  for (const std::string& name : names) RETURN_IF_ERROR(Remove(absl::StrCat(path, "/", name)));
  RETURN_IF_ERROR(Check(DiskOp::kRemove, path));
  absl::MutexLock lock(&tree_.mutex_);
  const auto parent = ParentOf(path);
  if (parent.ok()) {
    AddNames({{*parent, PartsOf(path).back(), nullptr}});
  }
  return absl::OkStatus();
}

absl::Status MemoryDisk::View::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Check(DiskOp::kRename, to));
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(from), there = tree_.Find(to);
  if (node == nullptr) return NotFound(from);
  if (there != nullptr && !there->now.names.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(to, " is not empty"));
  }
  ASSIGN_OR_RETURN(const NodePtr old_parent, ParentOf(from));
  ASSIGN_OR_RETURN(const NodePtr new_parent, ParentOf(to));
  AddNames({{old_parent, PartsOf(from).back(), nullptr}, {new_parent, PartsOf(to).back(), node}});
  return absl::OkStatus();
}

absl::Status MemoryDisk::View::Exchange(const std::string& a, const std::string& b) {
  RETURN_IF_ERROR(Check(DiskOp::kRename, b));
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node_a = tree_.Find(a), node_b = tree_.Find(b);
  if (node_a == nullptr) return NotFound(a);
  if (node_b == nullptr) return NotFound(b);
  ASSIGN_OR_RETURN(const NodePtr parent_a, ParentOf(a));
  ASSIGN_OR_RETURN(const NodePtr parent_b, ParentOf(b));
  AddNames({{parent_a, PartsOf(a).back(), node_b}, {parent_b, PartsOf(b).back(), node_a}});
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileLock>> MemoryDisk::View::Lock(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kOpen, path));
  absl::MutexLock lock(&tree_.mutex_);
  ASSIGN_OR_RETURN(const NodePtr node, Create(path, /*folder=*/false));
  if (tree_.locks_.contains(node)) return absl::UnavailableError(absl::StrCat(path, " is locked"));
  auto held = std::make_unique<HeldLock>(tree_, this, node);
  tree_.locks_[node] = held.get();
  return held;
}

bool MemoryDisk::View::IsLocked(const std::string& path) {
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(path);
  return node != nullptr && tree_.locks_.contains(node);
}

absl::Status MemoryDisk::View::SyncFolder(const std::string& path) {
  RETURN_IF_ERROR(Check(DiskOp::kSyncFolder, path));
  absl::MutexLock lock(&tree_.mutex_);
  const NodePtr node = tree_.Find(path);
  if (node == nullptr || !node->folder) return NotFound(path);
  bool journaled = false;
  for (auto entry = tree_.log_.rbegin(); entry != tree_.log_.rend(); ++entry) {
    for (const NameEdit& edit : entry->edits) journaled = journaled || edit.folder == node;
    if (journaled && !entry->edits.empty()) entry->view = nullptr;
  }
  tree_.Settle();
  return absl::OkStatus();
}

}  // namespace waferstream
