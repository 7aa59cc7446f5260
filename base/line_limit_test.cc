#include "base/line_limit.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

TEST(LineLimitTest, ManyAreSilentAndCounted) {
  LineLimit limit;
  const absl::Time start = absl::FromUnixSeconds(1000);
  for (int i = 0; i < LineLimit::kLinesMax; ++i) EXPECT_EQ(limit.Pass("no", start), "no");
  for (int i = 0; i < 7; ++i) EXPECT_EQ(limit.Pass("no", start + absl::Seconds(9)), std::nullopt);
  EXPECT_EQ(limit.Pass("no", start + absl::Seconds(10)), "no (7 like it were not logged)");
  EXPECT_EQ(limit.Pass("no", start + absl::Seconds(11)), "no");
  EXPECT_EQ(limit.Pass("no", start + absl::Seconds(30)), "no") << "none was held back";
}

TEST(LineLimitTest, AClockSetBackHoldsNothingBack) {
  LineLimit limit;
  for (int i = 0; i < 20; ++i) limit.Pass("no", absl::FromUnixSeconds(1000));
  EXPECT_TRUE(limit.Pass("no", absl::FromUnixSeconds(10)).has_value());
}

}  // namespace
}  // namespace waferstream
