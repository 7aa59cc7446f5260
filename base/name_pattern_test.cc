#include "base/name_pattern.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

TEST(NamePattern, MatchesWholeNames) {
  EXPECT_TRUE(MatchesPattern("*", "h.0.attn.c_attn.weight"));
  EXPECT_TRUE(MatchesPattern("h.*.attn.*", "h.0.attn.c_attn.weight"));
  EXPECT_TRUE(MatchesPattern("h.[0-3].*", "h.2.ln_1.bias"));
  EXPECT_TRUE(MatchesPattern("wte.weight", "wte.weight"));
  EXPECT_TRUE(MatchesPattern("h.?.ln_1.bias", "h.7.ln_1.bias"));
  EXPECT_FALSE(MatchesPattern("attn", "h.0.attn.c_attn.weight"));
  EXPECT_FALSE(MatchesPattern("h.?.ln_1.bias", "h.17.ln_1.bias"));
  EXPECT_FALSE(MatchesPattern("", "wte.weight"));
  EXPECT_FALSE(MatchesPattern("h.[0", "h.0"));
  EXPECT_TRUE(MatchesPattern("a\\*", "a\\b"));
}

}  // namespace
}  // namespace waferstream
