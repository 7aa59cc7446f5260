#include "base/shared_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/errno_status.h"

namespace waferstream {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int kSeals = kSizeSeals | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

// By base address. Segments do not overlap.
struct Known {
  absl::Mutex mutex;
  std::map<const std::byte*, std::weak_ptr<SharedSegment>> segments ABSL_GUARDED_BY(mutex);
};

// Outlives every segment, static ones too.
Known& AllKnown() {
  static Known* const known = new Known;
  return *known;
}

}  // namespace

absl::StatusOr<std::shared_ptr<SharedSegment>> SharedSegment::CreateAt(std::byte* place,
                                                                       size_t bytes) {
  Fd memory(memfd_create("waferstream", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return ErrnoStatus(errno, "memfd_create");
  if (ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0) return ErrnoStatus(errno, "memfd");
  // Elsewhere first: the last seal has to come after the mapping that writes.
  void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return ErrnoStatus(errno, "mapping a memfd");
  if (fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0) {
    const int error = errno;
    munmap(mapped, bytes);
    return ErrnoStatus(error, "sealing a memfd");
  }
  if (mremap(mapped, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
    const int error = errno;
    munmap(mapped, bytes);
    return ErrnoStatus(error, "placing a memfd");
  }
  return Register(std::move(memory), place, bytes);
}

absl::StatusOr<std::shared_ptr<SharedSegment>> SharedSegment::Attach(Fd memory) {
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  struct stat status;
  if (seals < 0 || (seals & kSizeSeals) != kSizeSeals || fstat(memory.get(), &status) != 0 ||
      status.st_size <= 0) {
    return absl::InvalidArgumentError("a descriptor that is no sealed memory");
  }
  const auto bytes = static_cast<size_t>(status.st_size);
  void* const mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return ErrnoStatus(errno, "mapping a peer's memory");
  return Register(std::move(memory), static_cast<std::byte*>(mapped), bytes);
}

std::shared_ptr<SharedSegment> SharedSegment::Register(Fd memory, std::byte* base, size_t size) {
  std::shared_ptr<SharedSegment> segment(new SharedSegment(std::move(memory), base, size));
  Known& known = AllKnown();
  absl::MutexLock lock(&known.mutex);
  known.segments[base] = segment;
  return segment;
}

std::shared_ptr<SharedSegment> SharedSegment::Holding(const std::byte* at, size_t bytes) {
  Known& known = AllKnown();
  std::shared_ptr<SharedSegment> segment;  // whose destructor locks as well
  absl::MutexLock lock(&known.mutex);
  auto next = known.segments.upper_bound(at);
  if (next == known.segments.begin()) return nullptr;
  segment = (--next)->second.lock();
  if (segment == nullptr) return nullptr;
  const auto offset = static_cast<size_t>(at - segment->data());
  if (offset > segment->size() || bytes > segment->size() - offset) return nullptr;
  return segment;
}

SharedSegment::SharedSegment(Fd memory, std::byte* base, size_t size)
    : memory_(std::move(memory)), base_(base), size_(size) {}

// Unknown before unmapped: the address may be another's at once.
SharedSegment::~SharedSegment() {
  Known& known = AllKnown();
  {
    absl::MutexLock lock(&known.mutex);
    known.segments.erase(base_);
  }
  munmap(base_, size_);
}

}  // namespace waferstream
