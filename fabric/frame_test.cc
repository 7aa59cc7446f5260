#include "fabric/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace waferstream {
namespace {

using ::testing::HasSubstr;

FrameHeader SomeHeader(size_t length) {
  FrameHeader header;
  header.protocol = 0x0901;
  header.kind = FrameKind::kGradient;
  header.dtype = 1;
  header.pass = 1;
  header.contribution = 2;
  header.range_level = 3;
  header.range_lo = 0x01020304;
  header.epoch = 0x11121314;
  header.step = 0x2122232425262728;
  header.wave = 0x31323334;
  header.tile = 0x41424344;
  header.sequence = 0x5152535455565758;
  header.length = length;
  return header;
}

std::vector<std::byte> SomePayload(size_t bytes) {
  std::vector<std::byte> payload(bytes);
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::byte>(i * 37 + 11);
  return payload;
}

// What a receiver does with the bytes of a frame.
bool Accepts(const HeaderBytes& bytes, const std::vector<std::byte>& payload) {
  const absl::StatusOr<FrameHeader> header = Decode(bytes);
  return header.ok() && header->length == payload.size() &&
         FrameCrc(*header, payload.data()) == header->crc;
}

TEST(Frame, RoundTripKeepsEveryField) {
  FrameHeader sent = SomeHeader(0x6162636465666768);
  sent.crc = 0x71727374;
  const absl::StatusOr<FrameHeader> got = Decode(Encode(sent));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->protocol, sent.protocol);
  EXPECT_EQ(got->kind, sent.kind);
  EXPECT_EQ(got->dtype, sent.dtype);
  EXPECT_EQ(got->pass, sent.pass);
  EXPECT_EQ(got->contribution, sent.contribution);
  EXPECT_EQ(got->range_level, sent.range_level);
  EXPECT_EQ(got->range_lo, sent.range_lo);
  EXPECT_EQ(got->epoch, sent.epoch);
  EXPECT_EQ(got->step, sent.step);
  EXPECT_EQ(got->wave, sent.wave);
  EXPECT_EQ(got->tile, sent.tile);
  EXPECT_EQ(got->sequence, sent.sequence);
  EXPECT_EQ(got->length, sent.length);
  EXPECT_EQ(got->crc, sent.crc);
}

TEST(Frame, HeaderBytesAreTheDocumentedLittleEndianLayout) {
  const HeaderBytes bytes = Encode(SomeHeader(5));
  EXPECT_EQ(std::memcmp(bytes.data(), "WSF1", 4), 0);
  EXPECT_EQ(bytes[4], std::byte{1});  // protocol, low byte first
  EXPECT_EQ(bytes[5], std::byte{9});
  EXPECT_EQ(bytes[6], std::byte{4});   // kind
  EXPECT_EQ(bytes[12], std::byte{4});  // range_lo, low byte first
  EXPECT_EQ(bytes[15], std::byte{1});
  EXPECT_EQ(bytes[48], std::byte{5});  // length
}

// Every bit of every byte, of header, reserved bytes and payload.
TEST(Frame, EveryFlippedBitIsDetected) {
  for (const size_t length : {0, 1, 7, 64, 200}) {
    const std::vector<std::byte> payload = SomePayload(length);
    FrameHeader header = SomeHeader(length);
    header.crc = FrameCrc(header, payload.data());
    const HeaderBytes bytes = Encode(header);
    ASSERT_TRUE(Accepts(bytes, payload));
    for (size_t bit = 0; bit < (kFrameHeaderBytes + length) * 8; ++bit) {
      HeaderBytes bad_header = bytes;
      std::vector<std::byte> bad_payload = payload;
      std::byte& byte = bit / 8 < kFrameHeaderBytes ? bad_header[bit / 8]
                                                    : bad_payload[bit / 8 - kFrameHeaderBytes];
      byte ^= static_cast<std::byte>(1 << (bit % 8));
      EXPECT_FALSE(Accepts(bad_header, bad_payload)) << "bit " << bit << ", length " << length;
    }
  }
}

TEST(Frame, CrcIgnoresTheCrcField) {
  FrameHeader header = SomeHeader(0);
  const uint32_t crc = FrameCrc(header, nullptr);
  header.crc = 12345;
  EXPECT_EQ(FrameCrc(header, nullptr), crc);
}

TEST(Frame, MessagesNameWhatIsWrong) {
  HeaderBytes bytes = Encode(SomeHeader(0));
  bytes[0] = std::byte{'G'};
  EXPECT_EQ(Decode(bytes).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Decode(bytes).status().message()),
              HasSubstr("magic 31465347 instead of 31465357"));

  for (const int kind : {0, 7, 255}) {
    bytes = Encode(SomeHeader(0));
    bytes[6] = static_cast<std::byte>(kind);
    EXPECT_EQ(Decode(bytes).status().message(), "unknown frame kind " + std::to_string(kind));
  }
}

TEST(Frame, DescribeNamesTheTile) {
  FrameHeader header;
  header.tile = 17;
  header.step = 3;
  header.epoch = 1;
  EXPECT_EQ(Describe(header), "tile 17 of step 3 wave 0 (forward), epoch 1");
  header.kind = FrameKind::kGradient;
  header.pass = 1;
  header.range_lo = 4;
  header.range_level = 2;
  EXPECT_EQ(Describe(header),
            "gradient of tile 17 (contribution 0, block 4 level 2) of step 3 wave 0 (backward), "
            "epoch 1");
}

}  // namespace
}  // namespace waferstream
