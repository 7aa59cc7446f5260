#include "base/protocol_range.h"

#include <gtest/gtest.h>

#include "base/version.h"

namespace waferstream {
namespace {

struct Case {
  ProtocolRange one, other;
  uint32_t chosen;  // 0: none
};

TEST(ProtocolRange, TheLowerNewestIfBothSpeakIt) {
  const Case cases[] = {
      {{1, 1}, {1, 1}, 1}, {{1, 2}, {1, 2}, 2}, {{1, 1}, {1, 2}, 1}, {{2, 3}, {1, 2}, 2},
      {{2, 3}, {3, 4}, 3}, {{1, 1}, {2, 3}, 0}, {{1, 2}, {3, 4}, 0}, {{0, 0}, {1, 1}, 0},
      {{0, 0}, {0, 0}, 0}, {{3, 2}, {1, 2}, 0},
  };
  for (const Case& c : cases) {
    for (const auto& [a, b] : {std::pair(c.one, c.other), std::pair(c.other, c.one)}) {
      const auto chosen = AgreeOnProtocol({"a", a}, {"b", b});
      EXPECT_EQ(chosen.ok() ? *chosen : 0, c.chosen) << a.ToString() << "; " << b.ToString();
    }
  }
}

TEST(ProtocolRange, ARefusalNamesBothAndWhomToUpgrade) {
  EXPECT_EQ(AgreeOnProtocol({"node w0", {2, 3}}, {"this controller", {1, 1}}).status(),
            absl::FailedPreconditionError("node w0 speaks protocol 2 to 3, and this controller 1: "
                                          "upgrade this controller first"));
  EXPECT_EQ(AgreeOnProtocol({"node w0", {1, 1}}, {"this controller", {2, 3}}).status(),
            absl::FailedPreconditionError("node w0 speaks protocol 1, and this controller 2 to 3: "
                                          "upgrade node w0 first"));
}

TEST(ProtocolRange, OneBackIsSpoken) {
  EXPECT_EQ(OwnProtocols().newest, NewestProtocol());
  EXPECT_EQ(OwnProtocols().oldest, NewestProtocol() == 1 ? 1 : NewestProtocol() - 1);
}

TEST(ProtocolRange, WhoSaysOneAloneSpeaksThatAlone) {
  EXPECT_EQ(ProtocolsOf(1, 0).ToString(), "1");
  EXPECT_EQ(ProtocolsOf(3, 2).ToString(), "2 to 3");
}

}  // namespace
}  // namespace waferstream
