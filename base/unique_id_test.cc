#include "base/unique_id.h"

#include <gtest/gtest.h>

#include <set>

namespace waferstream {
namespace {

TEST(UniqueId, EveryBitCounts) {
  std::set<std::string> seen = {Base32(0)};
  for (int bit = 0; bit < 64; ++bit) {
    const std::string text = Base32(uint64_t{1} << bit);
    EXPECT_EQ(text.size(), 13u);
    EXPECT_TRUE(seen.insert(text).second) << bit;
  }
  EXPECT_EQ(Base32(0), "0000000000000");
  EXPECT_EQ(Base32(~uint64_t{0}), "fzzzzzzzzzzzz");
}

TEST(UniqueId, DrawsDiffer) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(RandomBits()).second);
}

}  // namespace
}  // namespace waferstream
