#include "controller/status_board.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

namespace waferstream {
namespace {

JobStatus Status(const std::string& job_id, uint64_t step = 0) {
  JobStatus status;
  status.set_job_id(job_id);
  status.set_step(step);
  return status;
}

struct Watcher final : StatusWatcher {
  void OnStatus() override {
    ++told;
    if (then) then();
  }
  int told = 0;
  std::function<void()> then;
};

TEST(StatusBoard, HasTheLatestOfEveryJob) {
  StatusBoard board;
  EXPECT_EQ(board.Find("job-1"), nullptr);
  board.Publish(Status("job-1", 1));
  board.Publish(Status("job-2", 5));
  board.Publish(Status("job-1", 2));
  ASSERT_NE(board.Find("job-1"), nullptr);
  EXPECT_EQ(board.Find("job-1")->step(), 2u);
  EXPECT_EQ(board.Find("job-2")->step(), 5u);
}

TEST(StatusBoard, ListsTheNewestFirstAndWithoutTraffic) {
  StatusBoard board;
  for (const char* job_id : {"job-9", "job-10", "job-2"}) {
    JobStatus status = Status(job_id);
    status.add_traffic();
    board.Publish(status);
  }
  const JobList list = board.List();
  std::vector<std::string> ids;
  for (const JobStatus& job : list.jobs()) {
    ids.push_back(job.job_id());
    EXPECT_EQ(job.traffic_size(), 0);
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"job-10", "job-9", "job-2"}));
  EXPECT_EQ(board.Find("job-9")->traffic_size(), 1);
}

TEST(StatusBoard, AWatcherIsToldOfItsJobUntilItLeaves) {
  StatusBoard board;
  Watcher watcher;
  board.Publish(Status("job-1"));
  ASSERT_TRUE(board.Watch("job-1", &watcher));
  EXPECT_EQ(watcher.told, 0);
  board.Publish(Status("job-2"));
  EXPECT_EQ(watcher.told, 0);
  board.Publish(Status("job-1"));
  EXPECT_EQ(watcher.told, 1);
  board.Unwatch("job-1", &watcher);
  board.Publish(Status("job-1"));
  EXPECT_EQ(watcher.told, 1);
}

TEST(StatusBoard, AWatcherMayLeaveWhileItIsTold) {
  StatusBoard board;
  Watcher leaves, stays;
  leaves.then = [&] { board.Unwatch("job-1", &leaves); };
  ASSERT_TRUE(board.Watch("job-1", &leaves));
  ASSERT_TRUE(board.Watch("job-1", &stays));
  board.Publish(Status("job-1"));
  board.Publish(Status("job-1"));
  EXPECT_EQ(leaves.told, 1);
  EXPECT_EQ(stays.told, 2);
}

TEST(StatusBoard, WatchersAreCountedOverAllJobsAndOnce) {
  StatusBoard board;
  std::vector<Watcher> watchers(StatusBoard::kWatchersMax);
  for (size_t i = 0; i < watchers.size(); ++i) {
    const std::string job_id = i % 2 == 0 ? "job-1" : "job-2";
    ASSERT_TRUE(board.Watch(job_id, &watchers[i]));
    if (i == 0) {
      ASSERT_TRUE(board.Watch(job_id, &watchers[i]));  // again: the same watch
    }
  }
  Watcher more;
  EXPECT_FALSE(board.Watch("job-1", &more));
  board.Unwatch("job-9", &watchers[0]);  // was none
  board.Unwatch("job-2", &watchers[0]);
  EXPECT_FALSE(board.Watch("job-1", &more));
  board.Unwatch("job-1", &watchers[0]);
  EXPECT_TRUE(board.Watch("job-1", &more));
}

}  // namespace
}  // namespace waferstream
