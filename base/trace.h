// What a process does when, for people who look for lost time: a file of Chrome trace events, which
// Perfetto and chrome://tracing show as a row for each thing that works.
//
// One a process, like its log. Until OpenTrace nothing is written, and a span costs a load. Any
// thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace waferstream {

// Begins `path`, a JSON array with one event a line, as process `name`; its end is written when the
// process exits. FAILED_PRECONDITION: one is open. Else: the file cannot be made, one line that
// names it.
absl::Status OpenTrace(const std::string& path, const std::string& name);
// The end before that. What is traced then is dropped.
void CloseTrace();

bool Traces();
// On `row`, of this process; begin and end in seconds of CLOCK_MONOTONIC, which all processes of a
// host share.
void TraceSpan(std::string_view row, std::string_view name, double begin_s, double end_s);

// Now, as TraceSpan counts.
double TraceClock();

}  // namespace waferstream
