#include "base/nearest_name.h"

#include <gtest/gtest.h>

#include <string>

namespace waferstream {
namespace {

std::string Nearest(const std::string& name) {
  NearestName nearest(name);
  for (const char* known : {"wafers", "memoryx", "lease-ms", "log", "logs"}) {
    nearest.Consider(known);
  }
  return std::string(nearest.found());
}

TEST(NearestNameTest, FindsWhatWasMeant) {
  EXPECT_EQ(Nearest("wafer"), "wafers");
  EXPECT_EQ(Nearest("memmoryx"), "memoryx");
  EXPECT_EQ(Nearest("leasems"), "lease-ms");
  EXPECT_EQ(Nearest("logs"), "logs");
  EXPECT_EQ(Nearest("lo"), "log") << "the first of the nearest";
}

TEST(NearestNameTest, GuessesNothingWild) {
  EXPECT_EQ(Nearest("optimizer"), "");
  EXPECT_EQ(Nearest(std::string(1 << 20, 'w')), "");
}

}  // namespace
}  // namespace waferstream
