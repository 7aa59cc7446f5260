// The SRAM of a wafer node, laid out to the byte.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace waferstream {

// One named run of bytes of the arena; `count` equal parts of `bytes` / count.
struct SramRegion {
  std::string name;
  size_t offset = 0;
  size_t bytes = 0;
  size_t count = 1;
};

struct SramLayout {
  std::vector<SramRegion> regions;
  size_t bytes = 0;  // end of the last region: the planned peak
};

}  // namespace waferstream
