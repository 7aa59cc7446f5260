#include "client/progress.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

JobStatus AtStep(uint64_t step) {
  JobStatus job;
  job.set_state(RUNNING);
  job.set_step(step);
  job.set_steps(300);
  job.set_loss(3.21449);
  job.set_step_seconds(0.5);
  job.set_tokens_per_second(45200);
  job.set_exposed_stream_fraction(0.12);
  job.set_seconds_left(83);
  return job;
}

// A stream that collects what is written to it.
class Capture {
 public:
  Capture() : file_(open_memstream(&text_, &size_)) {}
  ~Capture() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() { return file_; }
  std::string Take() {
    std::fflush(file_);
    std::string all(text_, size_);
    std::string fresh = all.substr(taken_);
    taken_ = all.size();
    return fresh;
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  size_t taken_ = 0;
  std::FILE* file_;
};

TEST(ProgressTest, OneLine) {
  JobStatus job = AtStep(120);
  EXPECT_EQ(FormatProgress(job), "step 120/300  loss 3.2145  45.2k tok/s  waiting 12%  1m23s left");
  job.set_has_val_loss(true);
  job.set_val_loss(3.5);
  EXPECT_NE(FormatProgress(job).find("loss 3.2145  val 3.5000"), std::string::npos);
}

TEST(ProgressTest, BeforeTheFirstStepThereIsNoLoss) {
  JobStatus job;
  job.set_state(RUNNING);
  job.set_steps(3);
  EXPECT_EQ(FormatProgress(job), "step 0/3");
}

TEST(ProgressTest, OtherStatesSayWhy) {
  JobStatus job;
  job.set_state(QUEUED);
  job.set_reason("1 of 2 wafers registered");
  EXPECT_EQ(FormatProgress(job), "queued: 1 of 2 wafers registered");
}

TEST(ProgressTest, GenerationCountsTokens) {
  JobStatus job;
  job.set_state(RUNNING);
  job.mutable_job()->mutable_generate()->set_tokens(8);
  job.add_generated(1);
  EXPECT_EQ(FormatProgress(job), "token 1/8");
}

TEST(ProgressTest, LinesComeAtChangesAndEveryFewSeconds) {
  Capture capture;
  Progress progress(capture.file(), Progress::Style::kLines);
  const absl::Time start = absl::FromUnixSeconds(100);
  progress.Update(AtStep(1), start);
  EXPECT_NE(capture.Take().find("step 1/300"), std::string::npos);
  progress.Update(AtStep(2), start + absl::Seconds(1));
  EXPECT_EQ(capture.Take(), "") << "too soon";
  JobStatus validated = AtStep(3);
  validated.set_has_val_loss(true);
  progress.Update(validated, start + absl::Seconds(2));
  EXPECT_NE(capture.Take().find("val"), std::string::npos);
  validated.set_step(4);
  progress.Update(validated, start + absl::Seconds(8));
  EXPECT_NE(capture.Take().find("step 4/300"), std::string::npos);
  progress.Update(validated, start + absl::Seconds(60));
  EXPECT_EQ(capture.Take(), "") << "nothing new";
  validated.set_state(DONE);
  progress.Update(validated, start + absl::Seconds(60));
  EXPECT_EQ(capture.Take(), "done\n");
}

TEST(ProgressTest, TerminalRewritesOneLine) {
  Capture capture;
  {
    Progress progress(capture.file(), Progress::Style::kTerminal);
    progress.Update(AtStep(1), absl::UnixEpoch());
    const std::string line = capture.Take();
    EXPECT_EQ(line.front(), '\r');
    EXPECT_EQ(line.find('\n'), std::string::npos);
    progress.Note("note");
    EXPECT_EQ(capture.Take(), "\r\x1b[Knote\n");
    progress.Update(AtStep(2), absl::UnixEpoch());
    capture.Take();
    progress.Update(AtStep(3), absl::UnixEpoch() + absl::Milliseconds(10));
    EXPECT_EQ(capture.Take(), "") << "too soon to draw again";
    progress.Update(AtStep(3), absl::UnixEpoch() + absl::Milliseconds(200));
    EXPECT_NE(capture.Take().find("step 3/300"), std::string::npos);
  }
  EXPECT_EQ(capture.Take(), "\r\x1b[K") << "the line is gone at the end";
}

TEST(ProgressTest, QuietStillPrintsNotes) {
  Capture capture;
  Progress progress(capture.file(), Progress::Style::kQuiet);
  progress.Update(AtStep(1), absl::UnixEpoch());
  EXPECT_EQ(capture.Take(), "");
  progress.Note("note");
  EXPECT_EQ(capture.Take(), "note\n");
}

}  // namespace
}  // namespace waferstream
