#include "client/loss_curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace waferstream {
namespace {

TEST(LossCurve, FallsFromTheTopToTheBottom) {
  std::vector<double> losses;
  for (int i = 0; i < 12; ++i) losses.push_back(12 - i);
  EXPECT_EQ(LossCurve(losses, 0),
            "loss\n"
            "  12.0000 |*           \n"
            "          | *          \n"
            "          |  *         \n"
            "          |   *        \n"
            "          |    *       \n"
            "          |     *      \n"
            "   6.0000 |      *     \n"
            "          |       *    \n"
            "          |        *   \n"
            "          |         *  \n"
            "          |          * \n"
            "   1.0000 |           *\n"
            "          +------------\n"
            "           step 1    12\n");
}

TEST(LossCurve, ManyStepsShareColumnsAndBeginWhereTheJobDid) {
  const std::vector<double> losses(1000, 2.5);
  const std::string curve = LossCurve(losses, 500);
  EXPECT_NE(curve.find("2.5000 |" + std::string(64, '*')), std::string::npos) << curve;
  EXPECT_NE(curve.find("step 501"), std::string::npos);
  EXPECT_NE(curve.find("1500\n"), std::string::npos);
}

TEST(LossCurve, GapsWhereALossIsNotFinite) {
  std::vector<double> losses(20, 1);
  losses[3] = std::nan("");
  const std::string curve = LossCurve(losses, 0);
  EXPECT_NE(curve.find("|*** *****"), std::string::npos) << curve;
}

TEST(LossCurve, TooFewAreNotDrawn) {
  EXPECT_EQ(LossCurve(std::vector<double>(9, 1), 0), "");
  EXPECT_EQ(LossCurve(std::vector<double>(20, std::nan("")), 0), "");
}

}  // namespace
}  // namespace waferstream
