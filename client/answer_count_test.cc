#include "client/answer_count.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What a controller says that hears these nodes, and has lost those.
absl::StatusOr<NodeList> Answer(const std::vector<std::string>& heard,
                                const std::vector<std::string>& lost = {}) {
  NodeList list;
  for (const auto* names : {&heard, &lost}) {
    for (const std::string& name : *names) {
      NodeStatus& node = *list.add_nodes();
      node.set_node_id(name);
      node.set_state(names == &heard ? BUSY : LOST);
    }
  }
  return list;
}

const absl::Status kSilence = absl::DeadlineExceededError("controller: does not answer");

class AnswerCountTest : public testing::Test {
 protected:
  void Look(int times, const absl::StatusOr<NodeList>& answer) {
    for (int i = 0; i < times; ++i) count_.OnLook(answer);
  }
  AnswerCount count_{"controller", {"memoryx-0", "wafer-0"}};
};

TEST_F(AnswerCountTest, WhoAnswersIsNeverHung) {
  Look(1000, Answer({"memoryx-0", "wafer-0"}));
  EXPECT_THAT(count_.Hung(), IsEmpty());
}

TEST_F(AnswerCountTest, ALostNodeIsHungAfterSoManyLooks) {
  Look(kMissesMax - 1, Answer({"memoryx-0"}, {"wafer-0"}));
  EXPECT_THAT(count_.Hung(), IsEmpty());
  Look(1, Answer({"memoryx-0"}, {"wafer-0"}));
  EXPECT_THAT(count_.Hung(), ElementsAre("wafer-0"));
}

TEST_F(AnswerCountTest, SoIsOneThatTheControllerDoesNotKnow) {
  Look(kMissesMax, Answer({"memoryx-0"}));
  EXPECT_THAT(count_.Hung(), ElementsAre("wafer-0"));
}

TEST_F(AnswerCountTest, OneAnswerInBetweenStartsTheCountAgain) {
  for (int i = 0; i < 10; ++i) {
    Look(kMissesMax - 1, Answer({"memoryx-0"}, {"wafer-0"}));
    Look(1, Answer({"memoryx-0", "wafer-0"}));
    Look(kMissesMax - 1, kSilence);
    Look(1, Answer({"memoryx-0", "wafer-0"}));
  }
  EXPECT_THAT(count_.Hung(), IsEmpty());
}

TEST_F(AnswerCountTest, ASilentControllerSaysNothingOfTheNodes) {
  Look(kMissesMax * 10, kSilence);
  EXPECT_THAT(count_.Hung(), ElementsAre("controller"));
}

TEST_F(AnswerCountTest, WhatWasStartedAgainHasLongerForItsFirstAnswer) {
  Look(kMissesMax, kSilence);
  count_.Started("controller");
  Look(kMissesMaxAtStart - 1, kSilence);
  EXPECT_THAT(count_.Hung(), IsEmpty());
  Look(1, kSilence);
  EXPECT_THAT(count_.Hung(), ElementsAre("controller"));
  // From the first answer on it is as any other.
  count_.Started("controller");
  Look(1, Answer({"memoryx-0", "wafer-0"}));
  Look(kMissesMax, kSilence);
  EXPECT_THAT(count_.Hung(), ElementsAre("controller"));
}

TEST_F(AnswerCountTest, TheEntryOfTheFormerProcessIsNoAnswer) {
  count_.Started("wafer-0");
  Look(kLooksUnheard, Answer({"memoryx-0", "wafer-0"}));
  Look(kMissesMax, Answer({"memoryx-0"}, {"wafer-0"}));
  EXPECT_THAT(count_.Hung(), IsEmpty()) << "it is still starting";
}

}  // namespace
}  // namespace waferstream
