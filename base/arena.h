// One block of memory of a size fixed before anything runs: a wafer node's SRAM.
//
// Addresses come from the plan as offsets. Claim() hands out the bytes at an offset and records how
// far up the arena has ever been claimed, the peak. Claiming beyond the size is a bug and aborts; a
// guard page after the end turns a stray write there into a fault.
//
// What other processes of this host are to read in place (payloads) lies in a SharedSegment, page
// by page; where the system has none, it is as private as the rest. The segment outlives the arena
// for as long as somebody else holds it.
//
// Not thread-safe: claim during set-up, from one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "base/shared_segment.h"

namespace waferstream {

class Arena {
 public:
  // Bytes of the arena that others may read, with whatever else lies in their pages.
  struct Lent {
    size_t offset = 0;
    size_t bytes = 0;
  };

  // Reserves `bytes` (zeroed). RESOURCE_EXHAUSTED when the system refuses, or would end whoever
  // used them (base/memory_limit.h).
  static absl::StatusOr<Arena> Create(size_t bytes, Lent lent = {.offset = 0, .bytes = 0});
  // All of it may be read.
  static absl::StatusOr<Arena> CreateLent(size_t bytes) {
    return Create(bytes, {.offset = 0, .bytes = bytes});
  }
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  std::span<std::byte> Claim(size_t offset, size_t bytes);

  size_t size() const { return size_; }
  size_t peak() const { return peak_; }

 private:
  Arena(std::byte* base, size_t size, size_t mapped) : base_(base), size_(size), mapped_(mapped) {}

  std::byte* base_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
  size_t peak_ = 0;
  std::shared_ptr<SharedSegment> lent_;  // null: all is private
};

}  // namespace waferstream
