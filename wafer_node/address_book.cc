#include "wafer_node/address_book.h"

#include "base/status.h"

namespace waferstream {

AddressBook::AddressBook(const Plan& plan, Arena& arena) : offsets_(plan.places.offsets) {
  for (const SramRegion& region : plan.sram.regions) {
    std::byte* base = arena.Claim(region.offset, region.bytes).data();
    const size_t part_bytes = region.count == 0 ? 0 : region.bytes / region.count;
    regions_.push_back(
        {region.buffer, region.plane, base, part_bytes, static_cast<int>(region.count)});
  }
  activations_ = *Find(SramBuffer::kActivations, 0);
}

const AddressBook::Region* AddressBook::Find(SramBuffer buffer, int plane) const {
  for (const Region& region : regions_) {
    if (region.buffer == buffer && region.plane == plane) return &region;
  }
  return nullptr;
}

std::span<std::byte> AddressBook::Part(SramBuffer buffer, int index, int plane) const {
  const Region* region = Find(buffer, plane);
  WS_CHECK(region != nullptr && index < region->parts);
  return {region->base + index * region->part_bytes, region->part_bytes};
}

int AddressBook::Parts(SramBuffer buffer, int plane) const {
  const Region* region = Find(buffer, plane);
  return region == nullptr ? 0 : region->parts;
}

}  // namespace waferstream
