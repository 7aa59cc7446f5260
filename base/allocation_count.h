// Counts what is allocated, for tests of paths that should not: linking this replaces the global
// operator new. malloc, called directly, is not counted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace waferstream {

struct AllocationCount {
  uint64_t calls = 0;
  uint64_t bytes = 0;
  size_t largest = 0;
};

// Counts from its construction on, on its thread alone. Counts do not nest.
class CountAllocations {
 public:
  CountAllocations();
  // What was allocated so far; counting goes on.
  AllocationCount sofar() const;
};

}  // namespace waferstream
