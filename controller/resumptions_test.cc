#include "controller/resumptions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace waferstream {
namespace {

using ::testing::HasSubstr;

ResumeRequest Request(const std::string& id, double lr = 0, bool skip_batch = false) {
  ResumeRequest request;
  request.set_request_id(id);
  request.set_lr(lr);
  request.set_skip_batch(skip_batch);
  return request;
}

TEST(ResumptionsTest, ARequestResumesOnceHoweverLateItComesAgain) {
  JobMemory memory;
  EXPECT_EQ(*WasResumedBy(Request("a", 0.1), memory, "job-1"), false);
  NoteResumption(Request("a", 0.1), memory);
  NoteResumption(Request("b"), memory);
  EXPECT_EQ(*WasResumedBy(Request("a", 0.1), memory, "job-1"), true);
  EXPECT_EQ(*WasResumedBy(Request("b"), memory, "job-1"), true);
  EXPECT_EQ(*WasResumedBy(Request("c"), memory, "job-1"), false);
}

TEST(ResumptionsTest, AnIdIsOfOneChange) {
  JobMemory memory;
  NoteResumption(Request("a", 0.5, true), memory);
  for (const ResumeRequest& other : {Request("a"), Request("a", 0.5), Request("a", 0.25, true)}) {
    const absl::Status status = WasResumedBy(other, memory, "job-1").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("request id a resumed job-1 with learning rate 0.5 without the batch"));
  }
}

TEST(ResumptionsTest, WithoutAnIdEveryRequestIsNew) {
  JobMemory memory;
  NoteResumption(Request(""), memory);
  EXPECT_EQ(*WasResumedBy(Request(""), memory, "job-1"), false);
}

// As versions before the list recorded it.
TEST(ResumptionsTest, TheLastOneOfAnOlderRecordCounts) {
  JobMemory memory;
  memory.set_resume_request_id("old");
  EXPECT_EQ(*WasResumedBy(Request("old"), memory, "job-1"), true);
}

TEST(ResumptionsTest, SaysWhatChanges) {
  EXPECT_EQ(HowResumed(Request("a")), "");
  EXPECT_EQ(HowResumed(Request("a", 0.1)), " with learning rate 0.1");
  EXPECT_EQ(HowResumed(Request("a", 0, true)), " without the batch");
}

}  // namespace
}  // namespace waferstream
