// A machine is accused by what comes out of here.
#include "controller/hash_votes.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

MicroBatchHash Vote(uint32_t micro_batch, uint64_t hash) {
  MicroBatchHash vote;
  vote.set_micro_batch(micro_batch);
  vote.set_hash(hash);
  return vote;
}

TEST(HashVotes, NothingIsDisputedWhileAllAgree) {
  HashVotes votes;
  EXPECT_EQ(votes.Disputed(), std::nullopt);
  votes.Add("w0", Vote(3, 7));
  EXPECT_EQ(votes.Disputed(), std::nullopt);  // one voter cannot disagree
  votes.Add("w1", Vote(3, 7));
  votes.Add("w1", Vote(4, 8));
  EXPECT_EQ(votes.Disputed(), std::nullopt);
  EXPECT_EQ(votes.Of(3), (Votes{{"w0", 7}, {"w1", 7}}));
  EXPECT_EQ(votes.Of(5), Votes{});
}

TEST(HashVotes, TheFirstDisputedMicroBatchIsNamedInWhateverOrderTheVotesCame) {
  HashVotes votes;
  for (const uint32_t micro_batch : {9, 5, 2}) {
    votes.Add("w0", Vote(micro_batch, 1));
    votes.Add("w1", Vote(micro_batch, micro_batch == 2 ? 1 : 2));
  }
  EXPECT_EQ(votes.Disputed(), 5u);
}

TEST(HashVotes, AReportThatComesAgainIsOneVote) {
  HashVotes votes;
  votes.Add("w0", Vote(1, 7));
  votes.Add("w0", Vote(1, 7));
  EXPECT_EQ(votes.Of(1).size(), 1u);
}

// More than half, and at least two: nobody is accused on one machine's word, or by a tie.
TEST(Majority, TakesMoreThanHalf) {
  EXPECT_EQ(Majority({}), std::nullopt);
  EXPECT_EQ(Majority({{"a", 1}}), std::nullopt);
  EXPECT_EQ(Majority({{"a", 1}, {"b", 1}}), 1u);
  EXPECT_EQ(Majority({{"a", 1}, {"b", 2}}), std::nullopt);
  EXPECT_EQ(Majority({{"a", 1}, {"b", 2}, {"c", 2}}), 2u);
  EXPECT_EQ(Majority({{"a", 1}, {"b", 2}, {"c", 3}}), std::nullopt);
  EXPECT_EQ(Majority({{"a", 1}, {"b", 1}, {"c", 2}, {"d", 2}}), std::nullopt);
  EXPECT_EQ(Majority({{"a", 1}, {"b", 1}, {"c", 2}, {"d", 3}}), std::nullopt);
  EXPECT_EQ(Majority({{"a", 0}, {"b", 0}, {"c", 0}, {"d", 3}}), 0u);  // 0 is a hash like any
}

TEST(Describe, GivesEveryVoteInFull) {
  EXPECT_EQ(Describe(Votes{{"w1", 0x1f}, {"w0", ~uint64_t{0}}}),
            "w0 ffffffffffffffff, w1 000000000000001f");
}

}  // namespace
}  // namespace waferstream
