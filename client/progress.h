// How a job is doing, on stderr, while it runs.
#pragma once

#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "client/terminal_line.h"
#include "proto/controller.pb.h"

namespace waferstream {

// One line, without a newline:
// "step 120/300  loss 3.2145  val 3.3012  45.2k tok/s  waiting 12%  1m23s left".
std::string FormatProgress(const JobStatus& job);

// Writes progress: on a terminal one line, rewritten in place; elsewhere a line when the state or
// the validation loss changes, and otherwise every few seconds. Used from one thread.
class Progress {
 public:
  enum class Style { kTerminal, kLines, kQuiet };

  // `out` must outlive this. Notes are printed even when quiet.
  Progress(std::FILE* out, Style style) : out_(out), style_(style), line_(out) {}

  // May be called with the same status again, as often as is convenient.
  void Update(const JobStatus& job, absl::Time now);
  // A line that stays, between progress lines.
  void Note(const std::string& text);
  // Takes the line in place away.
  void Clear() { line_.Clear(); }

  static Style StyleOfStderr(bool quiet);

 private:
  bool LineIsDue(const JobStatus& job, absl::Time now) const;

  std::FILE* const out_;
  const Style style_;
  TerminalLine line_;
  bool any_ = false;
  JobStatus last_;  // what the last line showed; losses left out
  absl::Time last_at_;
};

}  // namespace waferstream
