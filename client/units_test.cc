#include "client/units.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

TEST(UnitsTest, Bytes) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB") << "never 1024.0 KiB";
  EXPECT_EQ(HumanBytes(uint64_t{256} << 20), "256.0 MiB");
  EXPECT_EQ(HumanBytes(uint64_t{5} << 60), "5120.0 PiB");
}

TEST(UnitsTest, Count) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(999.6), "1.00k");
  EXPECT_EQ(HumanCount(12345), "12.3k");
  EXPECT_EQ(HumanCount(4.56e6), "4.56M");
  EXPECT_EQ(HumanCount(1.2e9), "1.20B");
}

TEST(UnitsTest, Seconds) {
  EXPECT_EQ(HumanSeconds(0.42), "0.42s");
  EXPECT_EQ(HumanSeconds(12.4), "12s");
  EXPECT_EQ(HumanSeconds(59.6), "1m00s");
  EXPECT_EQ(HumanSeconds(185), "3m05s");
  EXPECT_EQ(HumanSeconds(7620), "2h07m");
  EXPECT_EQ(HumanSeconds(86400 * 3 + 3600 * 4), "3d04h");
  EXPECT_EQ(HumanSeconds(-1), "0.00s");
}

TEST(UnitsTest, Time) { EXPECT_EQ(HumanTime(86399.4), "1970-01-01 23:59:59"); }

}  // namespace
}  // namespace waferstream
