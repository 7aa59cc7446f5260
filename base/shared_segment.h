// A block of memory that other processes of this host may read in place: a memfd, which has no name
// in any file system and goes with the last process that has it.
//
// Whoever creates one writes to it. Its size is sealed, so nobody who reads it can be made to touch
// a page that is gone; new mappings are sealed against writing, so a peer that has the descriptor
// can read and nothing else.
//
// All segments of the process are known by their addresses (Holding), those that are attached, too:
// what a peer lent can be lent on. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/fd.h"

namespace waferstream {

class SharedSegment {
 public:
  // A new one of whole pages, zeroed, whose pages replace the private ones that are mapped at
  // `place`. An error: the system has no memfd, or cannot seal it; `place` is as it was.
  static absl::StatusOr<std::shared_ptr<SharedSegment>> CreateAt(std::byte* place, size_t bytes);
  // A peer's, mapped for reading. INVALID_ARGUMENT: not a segment that is sealed as ours are.
  static absl::StatusOr<std::shared_ptr<SharedSegment>> Attach(Fd memory);

  // The one that has all of these bytes; null: none. It stays mapped while it is held.
  static std::shared_ptr<SharedSegment> Holding(const std::byte* at, size_t bytes);

  SharedSegment(const SharedSegment&) = delete;
  SharedSegment& operator=(const SharedSegment&) = delete;
  ~SharedSegment();

  const std::byte* data() const { return base_; }
  size_t size() const { return size_; }
  int fd() const { return memory_.get(); }

 private:
  SharedSegment(Fd memory, std::byte* base, size_t size);
  static std::shared_ptr<SharedSegment> Register(Fd memory, std::byte* base, size_t size);

  const Fd memory_;
  std::byte* const base_;
  const size_t size_;
};

}  // namespace waferstream
