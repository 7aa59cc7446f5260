#include "base/arena.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/memory_limit.h"
#include "base/status.h"

namespace waferstream {
namespace {

// What somebody allowed this process, if that is why.
std::string AddressLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "";
  return absl::StrCat(" (this process may have ", limit.rlim_cur, ": ulimit -v)");
}

absl::Status Refusal(size_t bytes, int error) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "cannot reserve ", bytes, " bytes of memory: ", std::strerror(error), AddressLimit()));
}

// The system grants it and ends whoever uses it.
absl::Status CheckCgroup(size_t bytes) {
  const std::optional<uint64_t> limit = CgroupMemoryLimit();
  if (!limit.has_value() || bytes <= *limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("cannot reserve ", bytes, " bytes of memory: this process may have ", *limit,
                   " (the memory limit of its container or control group)"));
}

}  // namespace

absl::StatusOr<Arena> Arena::Create(size_t bytes, Lent lent) {
  RETURN_IF_ERROR(CheckCgroup(bytes));
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (bytes > SIZE_MAX - 2 * page) return Refusal(bytes, ENOMEM);  // would wrap around below
  const size_t body = (bytes + page - 1) / page * page;
  void* base = mmap(nullptr, body + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED || mprotect(base, body, PROT_READ | PROT_WRITE) != 0) {
    const int error = errno;
    if (base != MAP_FAILED) munmap(base, body + page);
    return Refusal(bytes, error);
  }
  Arena arena(static_cast<std::byte*>(base), bytes, body + page);
  WS_CHECK(lent.offset <= bytes && lent.bytes <= bytes - lent.offset);
  if (lent.bytes == 0) return arena;
  const size_t first = lent.offset / page * page;
  const size_t end = (lent.offset + lent.bytes + page - 1) / page * page;
  // Without it, payloads are copied: slower, and nothing else.
  auto segment = SharedSegment::CreateAt(arena.base_ + first, end - first);
  if (segment.ok()) arena.lent_ = *std::move(segment);
  return arena;
}

Arena::Arena(Arena&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      size_(other.size_),
      mapped_(other.mapped_),
      peak_(other.peak_),
      lent_(std::move(other.lent_)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  std::swap(peak_, other.peak_);
  std::swap(lent_, other.lent_);
  return *this;
}

// What is lent unmaps itself.
Arena::~Arena() {
  if (base_ == nullptr) return;
  if (lent_ == nullptr) {
    munmap(base_, mapped_);
    return;
  }
  const auto before = static_cast<size_t>(lent_->data() - base_);
  const size_t behind = before + lent_->size();
  if (before > 0) munmap(base_, before);
  munmap(base_ + behind, mapped_ - behind);
}

std::span<std::byte> Arena::Claim(size_t offset, size_t bytes) {
  WS_CHECK(offset <= size_ && bytes <= size_ - offset);
  peak_ = std::max(peak_, offset + bytes);
  return {base_ + offset, bytes};
}

}  // namespace waferstream
