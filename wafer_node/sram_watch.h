// Which bytes of a wafer's SRAM were really written, for tests: what the plan claims is no measure
// of what the ops do.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plan/sram.h"

namespace waferstream {

// The same regions with `bytes` before each that belong to nobody; a multiple of 64.
SramLayout WithGuards(SramLayout layout, size_t bytes);

// Fills memory with a pattern that no op writes, and says later where it is gone.
class SramWatch {
 public:
  // `sram` is what the layout lies in, and more; both outlive the watch. Nothing was written yet.
  SramWatch(const SramLayout& layout, std::span<std::byte> sram);

  // A sentence for every run of bytes outside all regions that was written to, and for any two
  // regions that share bytes: a region is planned too small, or in the wrong place.
  std::vector<std::string> Strays() const;
  // A sentence for every part of this region of which some line of 64 bytes was never written: it
  // is planned too large, or too many parts are.
  std::vector<std::string> Idle(const SramRegion& region) const;
  bool IsUsed(const SramRegion& region) const;
  // The end of the highest line that was written.
  size_t PeakBytes() const;

 private:
  bool WrittenIn(size_t begin, size_t end) const;
  // Lines of [begin, end) that were not.
  size_t IdleLines(size_t begin, size_t end) const;

  const SramLayout& layout_;
  const std::span<std::byte> sram_;
};

}  // namespace waferstream
