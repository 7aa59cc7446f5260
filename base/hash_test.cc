#include "base/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"

namespace waferstream {
namespace {

// What xxHash's own sanity check hashes prefixes of.
constexpr uint64_t kPrime32 = 2654435761, kPrime64 = 11400714785074694797u;

std::vector<uint8_t> SanityBuffer() {
  std::vector<uint8_t> bytes(4096);
  uint64_t state = kPrime32;
  for (uint8_t& byte : bytes) {
    byte = static_cast<uint8_t>(state >> 56);
    state *= kPrime64;
  }
  return bytes;
}

std::string HexOf(const void* data, size_t bytes) {
  Hash128 hash;
  hash.Update(data, bytes);
  return hash.Hex();
}

// github.com/Cyan4973/xxHash, cli/xsum_sanity_check.c, XSUM_XXH3_testdata: seed 0 and PRIME64.
// Every length is of another branch of the algorithm.
TEST(Hash, Xxh3Of64BitsGivesThePublishedValues) {
  struct Vector {
    size_t bytes;
    uint64_t unseeded, seeded;
  };
  constexpr Vector kVectors[] = {
      {0, 0x2D06800538D394C2, 0xA8A6B918B2F0364A},
      {1, 0xC44BDFF4074EECDB, 0x032BE332DD766EF8},
      {6, 0x27B56A84CD2D7325, 0x84589C116AB59AB9},
      {12, 0xA713DAF0DFBB77E7, 0xE7303E1B2336DE0E},
      {24, 0xA3FE70BF9D3510EB, 0x850E80FC35BDD690},
      {48, 0x397DA259ECBA1F11, 0xADC2CBAA44ACC616},
      {80, 0xBCDEFBBB2C47C90A, 0xC6DD0CB699532E73},
      {195, 0xCD94217EE362EC3A, 0xBA68003D370CB3D9},
      {403, 0xCDEB804D65C6DEA4, 0x6259F6ECFD6443FD},
      {512, 0x617E49599013CB6B, 0x3CE457DE14C27708},
      {2048, 0xDD59E2C3A5F038E0, 0x66F81670669ABABC},
      {2240, 0x6E73A90539CF2948, 0x757BA8487D1B5247},
      {2367, 0xCB37AEB9E5D361ED, 0xD2DB3415B942B42A},
  };
  const std::vector<uint8_t> data = SanityBuffer();
  for (const Vector& v : kVectors) {
    EXPECT_EQ(Hash64(data.data(), v.bytes), v.unseeded) << v.bytes;
    EXPECT_EQ(Hash64(data.data(), v.bytes, kPrime64), v.seeded) << v.bytes;
  }
}

// The same file, XSUM_XXH128_testdata, seed 0; high half first, as xxhsum prints it.
TEST(Hash, Xxh3Of128BitsGivesThePublishedValues) {
  struct Vector {
    size_t bytes;
    const char* hex;
  };
  constexpr Vector kVectors[] = {
      {0, "99aa06d3014798d86001c324468d497f"},    {1, "a6cd5e9392000f6ac44bdff4074eecdb"},
      {6, "082afe0b8162d12a3e7039bdda43cfc6"},    {12, "6e3efd8fc7802b18061a192713f69ad9"},
      {24, "0ce966e4678d37611e7044d28b1b901d"},   {48, "a002ac4e5478227ef942219aed80f67b"},
      {81, "4952f58181ab00425e8bafb9f95fb803"},   {222, "337e09641b948717f1aebd597cec6b3a"},
      {403, "1b6de21e332dd73dcdeb804d65c6dea4"},  {512, "18d2d110dcc9bca1617e49599013cb6b"},
      {2048, "f736557fd47073a5dd59e2c3a5f038e0"}, {2240, "ccb134fbfa7ce49d6e73a90539cf2948"},
      {2367, "e89c0f6ff369b427cb37aeb9e5d361ed"},
  };
  const std::vector<uint8_t> data = SanityBuffer();
  for (const Vector& v : kVectors) EXPECT_EQ(HexOf(data.data(), v.bytes), v.hex) << v.bytes;
}

TEST(Hash, PiecesHashLikeTheWhole) {
  const std::vector<uint8_t> data = SanityBuffer();
  for (const size_t piece : {1, 63, 64, 1000}) {
    Hash128 hash;
    for (size_t at = 0; at < data.size(); at += piece) {
      hash.Update(data.data() + at, std::min(piece, data.size() - at));
    }
    EXPECT_EQ(hash.Hex(), HexOf(data.data(), data.size())) << piece;
  }
}

TEST(Hash, TheHexOfAHashInTheMakingChangesNothing) {
  const std::vector<uint8_t> data = SanityBuffer();
  Hash128 hash;
  hash.Update(data.data(), 1);
  EXPECT_EQ(hash.Hex(), "a6cd5e9392000f6ac44bdff4074eecdb");
  hash.Update(data.data() + 1, 511);
  EXPECT_EQ(hash.Hex(), "18d2d110dcc9bca1617e49599013cb6b");
}

// ---- CRC32C
// --------------------------------------------------------------------------------------

// RFC 3720, appendix B.4. The RFC prints the bytes as they are sent, the lowest first.
TEST(Crc32c, GivesThePublishedValues) {
  std::array<uint8_t, 32> data{};
  const auto crc = [&] { return Crc32c(0, data.data(), data.size()); };
  EXPECT_EQ(crc(), 0x8a9136aau);
  data.fill(0xff);
  EXPECT_EQ(crc(), 0x62a8ab43u);
  std::iota(data.begin(), data.end(), 0);
  EXPECT_EQ(crc(), 0x46dd794eu);
  std::reverse(data.begin(), data.end());
  EXPECT_EQ(crc(), 0x113fdb5cu);
  constexpr uint8_t kRead10[] = {// an iSCSI SCSI Read (10) command PDU
                                 0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
                                 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00,
                                 0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  EXPECT_EQ(Crc32c(0, kRead10, sizeof(kRead10)), 0xd9963a56u);
}

TEST(Crc32c, GoesOnWhereAnEarlierCallStopped) {
  constexpr std::string_view kDigits = "123456789";  // the customary check value of a CRC
  EXPECT_EQ(Crc32c(0, kDigits.data(), 9), 0xe3069283u);
  for (size_t cut = 0; cut <= 9; ++cut) {
    const uint32_t first = Crc32c(0, kDigits.data(), cut);
    EXPECT_EQ(Crc32c(first, kDigits.data() + cut, 9 - cut), 0xe3069283u) << cut;
  }
  EXPECT_EQ(Crc32c(0, nullptr, 0), 0u);
}

// ISA-L takes an int: what is longer than a GiB goes to it in parts.
TEST(Crc32c, OfMoreThanAGibibyteIsThatOfItsHalves) {
  constexpr size_t kBytes = (size_t{1} << 30) + 4097;
  auto arena = Arena::Create(kBytes);
  ASSERT_TRUE(arena.ok()) << arena.status();
  const std::span<std::byte> data = arena->Claim(0, kBytes);
  data.front() = data[kBytes - 5000] = data.back() = std::byte{0x5a};  // the rest costs no memory
  const size_t half = kBytes / 2;
  EXPECT_EQ(Crc32c(0, data.data(), kBytes),
            Crc32c(Crc32c(0, data.data(), half), data.data() + half, kBytes - half));
}

}  // namespace
}  // namespace waferstream
