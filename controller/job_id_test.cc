#include "controller/job_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace waferstream {
namespace {

TEST(JobId, ABeginningMeansAJobWithItsWholeNumber) {
  const std::string id = MakeJobIdentity(12, "k3f9q2v7x1m0a").job_id;
  EXPECT_EQ(id, "job-12-k3f9q2v7x1m0a");
  for (const char* name : {"job", "job-12", "job-12-", "job-12-k3", "job-12-k3f9q2v7x1m0a"}) {
    EXPECT_TRUE(MayMean(name, id)) << name;
  }
  for (const char* name : {"", "j", "jo", "job-", "job-1", "job-2", "12", "job-12-k4",
                           "job-12-k3f9q2v7x1m0ab", "JOB-12", "job-12 "}) {
    EXPECT_FALSE(MayMean(name, id)) << name;
  }
}

TEST(JobId, ThoseOfOlderStoresAreMeantAsAWhole) {
  EXPECT_TRUE(MayMean("j-000012", "j-000012"));
  EXPECT_FALSE(MayMean("j-00001", "j-000012"));
}

TEST(JobId, NumbersCountNotLetters) {
  std::map<std::string, int, OlderJobFirst> jobs;
  for (const char* id :
       {"job-10-a", "job-2-z", "j-000001", "job-9-b", "job-10-b", "odd", "-", ""}) {
    jobs[id] = 0;
  }
  std::vector<std::string> order;
  for (const auto& [id, unused] : jobs) order.push_back(id);
  EXPECT_THAT(order, testing::ElementsAre("", "-", "odd", "j-000001", "job-2-z", "job-9-b",
                                          "job-10-a", "job-10-b"));
}

}  // namespace
}  // namespace waferstream
