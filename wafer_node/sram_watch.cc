#include "wafer_node/sram_watch.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr size_t kLine = 64;

// Every line is another one, and as floats it is neither zero nor of any use: whoever reads what
// nobody wrote gets other results than from zeroed memory.
std::byte PatternAt(size_t offset) {
  return static_cast<std::byte>((static_cast<uint32_t>(offset) * 2654435761u) >> 24);
}

}  // namespace

SramLayout WithGuards(SramLayout layout, size_t bytes) {
  size_t moved = 0;
  for (SramRegion& region : layout.regions) region.offset += moved += bytes;
  layout.bytes += moved;
  return layout;
}

SramWatch::SramWatch(const SramLayout& layout, std::span<std::byte> sram)
    : layout_(layout), sram_(sram) {
  WS_CHECK(sram.size() >= layout.bytes);
  for (size_t i = 0; i < sram.size(); ++i) sram[i] = PatternAt(i);
}

bool SramWatch::WrittenIn(size_t begin, size_t end) const {
  for (size_t i = begin; i < end; ++i) {
    if (sram_[i] != PatternAt(i)) return true;
  }
  return false;
}

size_t SramWatch::IdleLines(size_t begin, size_t end) const {
  size_t idle = 0;
  for (size_t line = begin; line < end; line += kLine) idle += !WrittenIn(line, line + kLine);
  return idle;
}

std::vector<std::string> SramWatch::Strays() const {
  std::vector<const SramRegion*> regions;
  for (const SramRegion& region : layout_.regions) regions.push_back(&region);
  std::sort(regions.begin(), regions.end(),
            [](const SramRegion* a, const SramRegion* b) { return a->offset < b->offset; });
  std::vector<std::string> strays;
  std::string before = "the arena's begin";
  size_t end = 0;
  for (const SramRegion* region : regions) {
    if (region->offset < end) strays.push_back(absl::StrCat(before, " and ", region->name));
    if (WrittenIn(end, region->offset)) strays.push_back(absl::StrCat("behind ", before));
    before = region->name;
    end = std::max(end, region->offset + region->bytes);
  }
  if (WrittenIn(end, sram_.size())) strays.push_back(absl::StrCat("behind ", before));
  return strays;
}

std::vector<std::string> SramWatch::Idle(const SramRegion& region) const {
  std::vector<std::string> idle;
  const size_t bytes = region.bytes / region.count;
  for (size_t part = 0; part < region.count; ++part) {
    const size_t begin = region.offset + part * bytes;
    const size_t lines = IdleLines(begin, begin + bytes);
    if (lines == 0) continue;
    idle.push_back(absl::StrCat(region.name, ", part ", part, " of ", region.count, ": ", lines,
                                " of ", bytes / kLine, " lines"));
  }
  return idle;
}

bool SramWatch::IsUsed(const SramRegion& region) const {
  return WrittenIn(region.offset, region.offset + region.bytes);
}

size_t SramWatch::PeakBytes() const {
  size_t end = sram_.size() / kLine * kLine;
  while (end > 0 && !WrittenIn(end - kLine, end)) end -= kLine;
  return end;
}

}  // namespace waferstream
