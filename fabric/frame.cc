#include "fabric/frame.h"

#include <bit>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/hash.h"

namespace waferstream {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the header is written as the host's own integers");

// Where each field of the header lies. Everything up to the reserved tail is used.
enum Offset : size_t {
  kMagicAt = 0,
  kProtocolAt = 4,
  kKindAt = 6,
  kDtypeAt = 7,
  kPassAt = 8,
  kContributionAt = 9,
  kRangeLevelAt = 10,
  kReserved1At = 11,  // one byte, zero
  kRangeLoAt = 12,
  kEpochAt = 16,
  kWaveAt = 20,
  kStepAt = 24,
  kTileAt = 32,
  kCrcAt = 36,
  kSequenceAt = 40,
  kLengthAt = 48,
  kReserved8At = 56,  // eight bytes, zero
};
static_assert(kReserved8At + sizeof(uint64_t) == kFrameHeaderBytes);

template <typename T>
void Put(HeaderBytes& bytes, Offset at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

template <typename T>
T Get(const HeaderBytes& bytes, Offset at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

std::string PassName(uint8_t pass) {
  static constexpr const char* kNames[] = {"forward", "backward", "validation", "generate"};
  if (pass < std::size(kNames)) return kNames[pass];
  return absl::StrCat("pass ", pass);
}

}  // namespace

HeaderBytes Encode(const FrameHeader& header) {
  HeaderBytes bytes{};
  Put(bytes, kMagicAt, kFrameMagic);
  Put(bytes, kProtocolAt, header.protocol);
  Put(bytes, kKindAt, header.kind);
  Put(bytes, kDtypeAt, header.dtype);
  Put(bytes, kPassAt, header.pass);
  Put(bytes, kContributionAt, header.contribution);
  Put(bytes, kRangeLevelAt, header.range_level);
  Put(bytes, kRangeLoAt, header.range_lo);
  Put(bytes, kEpochAt, header.epoch);
  Put(bytes, kWaveAt, header.wave);
  Put(bytes, kStepAt, header.step);
  Put(bytes, kTileAt, header.tile);
  Put(bytes, kCrcAt, header.crc);
  Put(bytes, kSequenceAt, header.sequence);
  Put(bytes, kLengthAt, header.length);
  return bytes;
}

absl::StatusOr<FrameHeader> Decode(const HeaderBytes& bytes) {
  const auto magic = Get<uint32_t>(bytes, kMagicAt);
  if (magic != kFrameMagic) {
    return absl::InvalidArgumentError(
        absl::StrFormat("not a WaferStream frame: magic %08x instead of %08x", magic, kFrameMagic));
  }
  const auto kind = Get<uint8_t>(bytes, kKindAt);
  if (kind < static_cast<uint8_t>(FrameKind::kHello) ||
      kind > static_cast<uint8_t>(FrameKind::kSegment)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown frame kind ", kind));
  }
  // The crc is taken over the decoded fields, so what is not a field has to be checked here.
  if (Get<uint8_t>(bytes, kReserved1At) != 0 || Get<uint64_t>(bytes, kReserved8At) != 0) {
    return absl::InvalidArgumentError("reserved bytes of a frame header are not zero");
  }
  FrameHeader header;
  header.protocol = Get<uint16_t>(bytes, kProtocolAt);
  header.kind = static_cast<FrameKind>(kind);
  header.dtype = Get<uint8_t>(bytes, kDtypeAt);
  header.pass = Get<uint8_t>(bytes, kPassAt);
  header.contribution = Get<uint8_t>(bytes, kContributionAt);
  header.range_level = Get<uint8_t>(bytes, kRangeLevelAt);
  header.range_lo = Get<uint32_t>(bytes, kRangeLoAt);
  header.epoch = Get<uint32_t>(bytes, kEpochAt);
  header.wave = Get<uint32_t>(bytes, kWaveAt);
  header.step = Get<uint64_t>(bytes, kStepAt);
  header.tile = Get<uint32_t>(bytes, kTileAt);
  header.crc = Get<uint32_t>(bytes, kCrcAt);
  header.sequence = Get<uint64_t>(bytes, kSequenceAt);
  header.length = Get<uint64_t>(bytes, kLengthAt);
  return header;
}

uint32_t HeaderCrc(const FrameHeader& header) {
  HeaderBytes bytes = Encode(header);
  Put(bytes, kCrcAt, uint32_t{0});
  return Crc32c(0, bytes.data(), bytes.size());
}

uint32_t FrameCrc(const FrameHeader& header, const std::byte* payload) {
  return Crc32c(HeaderCrc(header), payload, header.length);
}

std::string Describe(const FrameHeader& header) {
  const std::string place = absl::StrFormat("step %d wave %d (%s), epoch %d", header.step,
                                            header.wave, PassName(header.pass), header.epoch);
  switch (header.kind) {
    case FrameKind::kHello:
      return absl::StrCat("Hello, epoch ", header.epoch);
    case FrameKind::kCredit:
      return absl::StrFormat("credit for %d small and %d large slots, epoch %d", header.range_lo,
                             header.tile, header.epoch);
    case FrameKind::kReturn:
      return absl::StrFormat("return of frame %d, epoch %d", header.step, header.epoch);
    case FrameKind::kSegment:
      return absl::StrFormat("segment %d, epoch %d", header.tile, header.epoch);
    case FrameKind::kTile:
      return absl::StrFormat("tile %d of %s", header.tile, place);
    case FrameKind::kGradient:
      return absl::StrFormat("gradient of tile %d (contribution %d, block %d level %d) of %s",
                             header.tile, header.contribution, header.range_lo, header.range_level,
                             place);
  }
  return absl::StrCat("frame of kind ", static_cast<int>(header.kind));
}

}  // namespace waferstream
