#include "client/progress.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/text.h"
#include "client/job_facts.h"
#include "client/units.h"

namespace waferstream {
namespace {

// Between two lines of a log in which nothing else happens: seldom enough to read afterwards, often
// enough to see that the job lives.
constexpr absl::Duration kLineEvery = absl::Seconds(5);

std::string FormatGeneration(const JobStatus& job) {
  return absl::StrCat("token ", job.generated_size(), "/", job.job().generate().tokens());
}

}  // namespace

std::string FormatProgress(const JobStatus& job) {
  if (job.state() != RUNNING) {
    std::string line = absl::AsciiStrToLower(JobState_Name(job.state()));
    if (!job.reason().empty()) absl::StrAppend(&line, ": ", OneLine(job.reason()));
    return line;
  }
  if (job.job().has_generate()) return FormatGeneration(job);
  if (job.steps() == 0) return "evaluating";  // a training has some
  std::string line = absl::StrCat("step ", job.step(), "/", job.steps());
  const JobFacts facts = FactsOf(job);
  if (facts.loss.has_value()) absl::StrAppendFormat(&line, "  loss %.4f", *facts.loss);
  if (facts.val_loss.has_value()) absl::StrAppendFormat(&line, "  val %.4f", *facts.val_loss);
  if (facts.tokens_per_second.has_value()) {
    absl::StrAppendFormat(&line, "  %s tok/s  waiting %.0f%%", HumanCount(*facts.tokens_per_second),
                          100 * *facts.exposed_stream_fraction);
  }
  if (job.redone_steps() > 0) absl::StrAppend(&line, "  redone ", job.redone_steps());
  if (facts.seconds_left.value_or(0) > 0) {
    absl::StrAppend(&line, "  ", HumanSeconds(*facts.seconds_left), " left");
  }
  return line;
}

void Progress::Update(const JobStatus& job, absl::Time now) {
  if (style_ == Style::kQuiet) return;
  if (style_ == Style::kTerminal) {
    if (line_.IsDue(now)) line_.Show(FormatProgress(job), now);
  } else if (LineIsDue(job, now)) {
    absl::FPrintF(out_, "%s\n", FormatProgress(job));
    last_.set_state(job.state());
    last_.set_step(job.step());
    last_.set_has_val_loss(job.has_val_loss());
    last_.set_val_loss(job.val_loss());
    last_at_ = now;
    any_ = true;
  }
  std::fflush(out_);
}

bool Progress::LineIsDue(const JobStatus& job, absl::Time now) const {
  if (!any_ || job.state() != last_.state()) return true;
  if (job.has_val_loss() != last_.has_val_loss() || job.val_loss() != last_.val_loss()) return true;
  return now - last_at_ >= kLineEvery && job.step() != last_.step();
}

void Progress::Note(const std::string& text) {
  Clear();
  absl::FPrintF(out_, "%s\n", text);
  std::fflush(out_);
}

Progress::Style Progress::StyleOfStderr(bool quiet) {
  if (quiet) return Style::kQuiet;
  return TerminalLine::IsStderr() ? Style::kTerminal : Style::kLines;
}

}  // namespace waferstream
