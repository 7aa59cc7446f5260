// A frame: what travels on a channel. A fixed 64-byte little-endian header, then `length` payload
// bytes. CRC32C covers the header (with the crc field zero) and the payload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

inline constexpr uint32_t kFrameMagic = 0x31465357;  // "WSF1"
// That Hello frames are written in, for good: the ends agree by them on the protocol of all others.
inline constexpr uint16_t kHelloProtocol = 1;
inline constexpr size_t kFrameHeaderBytes = 64;

enum class FrameKind : uint8_t {
  kHello = 1,     // first frame in each direction; payload: Hello (proto/fabric.proto)
  kCredit = 2,    // the receiver grants `range_lo` small and `tile` large slots; no payload
  kTile = 3,      // weights of one tile, wire dtype, downwards
  kGradient = 4,  // one block of one gradient tile, fp32, upwards; no payload: all zeros
  // Between processes of one host (shm_channel.h) only:
  kReturn = 5,   // the payload of frame `step` of the other direction is not read any more
  kSegment = 6,  // brings the descriptor of segment `tile`
};

struct FrameHeader {
  FrameKind kind = FrameKind::kTile;
  uint8_t dtype = 0;         // base Dtype
  uint8_t pass = 0;          // PassKind; kBackward for gradients
  uint8_t contribution = 0;  // gradients
  uint8_t range_level = 0;   // gradients: BlockRange
  uint32_t range_lo = 0;
  uint32_t epoch = 0;
  uint64_t step = 0;
  uint32_t wave = 0;
  uint32_t tile = 0;
  uint64_t sequence = 0;  // frames of this direction so far, Hello included; the fabric's
  uint64_t length = 0;    // payload bytes
  uint32_t crc = 0;       // the fabric fills it in and checks it
  uint16_t protocol = kHelloProtocol;  // that it is written in; the fabric's
};

using HeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

// Writes the header; `crc` as it stands in `header`.
HeaderBytes Encode(const FrameHeader& header);

// INVALID_ARGUMENT: wrong magic, an unknown kind. Does not check the protocol, which depends on the
// channel, nor the crc (the payload is not here yet).
absl::StatusOr<FrameHeader> Decode(const HeaderBytes& bytes);

// CRC32C of header (crc field as zero) and payload.
uint32_t FrameCrc(const FrameHeader& header, const std::byte* payload);
// Of the header alone.
uint32_t HeaderCrc(const FrameHeader& header);

// For messages: "tile 17 of step 3 wave 0 (forward), epoch 1".
std::string Describe(const FrameHeader& header);

}  // namespace waferstream
