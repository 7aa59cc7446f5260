// What paused jobs were resumed with, so that a call that comes twice resumes once.
//
// Pure. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/controller.pb.h"
#include "proto/store.pb.h"

namespace waferstream {

// Whether this very request resumed the job before, by one of long ago too: a call that comes late
// must not end another pause. A request without an id never did.
// ALREADY_EXISTS: its id resumed the job with another change.
absl::StatusOr<bool> WasResumedBy(const ResumeRequest& request, const JobMemory& memory,
                                  const std::string& job_id);
void NoteResumption(const ResumeRequest& request, JobMemory& memory);

// What the request changes, for people: " with learning rate 0.1 without the batch".
std::string HowResumed(const ResumeRequest& request);

}  // namespace waferstream
