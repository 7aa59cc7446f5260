#include "controller/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Dispute Of(Votes votes) { return {.step = 7, .micro_batch = 3, .votes = std::move(votes)}; }

TEST(FindLiarsTest, TheThirdWaferDecides) {
  const auto found = FindLiars(Of({{"w0", 1}, {"w1", 2}}), Of({{"w0", 1}, {"w1", 2}, {"w2", 2}}));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->liars, ElementsAre("w0"));
  EXPECT_THAT(found->evidence, HasSubstr("micro-batch 3 of step 7 is 0000000000000002"));
}

// It lied once, and computes right now.
TEST(FindLiarsTest, WhoLiedOnlyTheFirstTimeIsALiarToo) {
  const auto found = FindLiars(Of({{"w0", 1}, {"w1", 2}}), Of({{"w0", 2}, {"w1", 2}, {"w2", 2}}));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->liars, ElementsAre("w0"));
}

TEST(FindLiarsTest, SeveralMayLie) {
  const auto found = FindLiars(Of({{"w0", 1}, {"w1", 3}}),
                               Of({{"w0", 1}, {"w1", 3}, {"w2", 2}, {"w3", 2}, {"w4", 2}}));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->liars, ElementsAre("w0", "w1"));
}

TEST(FindLiarsTest, WhenAllDifferAPersonDecides) {
  const auto found = FindLiars(Of({{"w0", 1}, {"w1", 2}}), Of({{"w0", 1}, {"w1", 2}, {"w2", 3}}));
  EXPECT_EQ(found.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("micro-batch 3 of step 7 came out different on every wafer"));
}

TEST(ReportOfTest, SaysWhetherItIsTheMachineOrTheModel) {
  const BadNumbers first{.what = "loss is not finite", .wafer = "w0"};
  EXPECT_THAT(ReportOf(first, {}, 2),
              HasSubstr("loss is not finite (on w0); computed again on other wafers, all numbers "
                        "are finite: it was the machine"));
  EXPECT_THAT(ReportOf(first, {.what = "loss is not finite"}, 2),
              HasSubstr("computed again on other wafers, it comes out like that too: it is the "
                        "model"));
}

TEST(ReportOfTest, OneWaferIsAskedAgain) {
  const BadNumbers first{.what = "loss is not finite"};
  EXPECT_THAT(ReportOf(first, {}, 1), HasSubstr("computed again there, all numbers are finite"));
  EXPECT_THAT(ReportOf(first, {.what = "x"}, 1), HasSubstr("there (there is no other wafer)"));
}

TEST(ReportOfTest, SaysWhereItAppearedFirst) {
  NonFinite where;
  where.set_where("layer 2, attention");
  where.set_micro_batch(5);
  EXPECT_THAT(ReportOf({.what = "x"}, {.what = "x", .first = where, .first_wafer = "w1"}, 2),
              HasSubstr("first in layer 2, attention, micro-batch 5, on w1"));
}

}  // namespace
}  // namespace waferstream
