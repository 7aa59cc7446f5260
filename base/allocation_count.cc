#include "base/allocation_count.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace waferstream {
namespace {

thread_local constinit AllocationCount count;

void* Allocate(size_t bytes, size_t alignment) {
  ++count.calls;
  count.bytes += bytes;
  count.largest = std::max(count.largest, bytes);
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, std::max(whole, alignment));
  if (memory == nullptr) std::abort();  // a test has enough
  return memory;
}

}  // namespace

CountAllocations::CountAllocations() { count = {}; }

AllocationCount CountAllocations::sofar() const { return count; }

}  // namespace waferstream

// The array and nothrow forms of the standard library call these.
void* operator new(size_t bytes) {
  return waferstream::Allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return waferstream::Allocate(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
