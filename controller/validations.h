// What follows from a job's validations: which was the best, whether the checkpoint of it is there
// to be kept, and whether training stops early. All of it is in the job's record, so whoever goes
// on with the job decides alike; and a validation that is done again, with the same loss, counts
// once.
#pragma once

#include <cstdint>

#include "proto/controller.pb.h"
#include "proto/store.pb.h"

namespace waferstream {

// A validation after `steps` steps gave `loss`.
void NoteValidation(uint64_t steps, double loss, JobStatus& status, JobMemory::Validations& memory);

// With checkpoint.keep_best: whether the newest checkpoint is of the best validation. To be asked
// after every validation and every checkpoint.
void NoteBestCheckpoint(JobStatus& status);

// Whether so many validations in a row were in vain that the job ends after counted_steps().
bool StopsEarly(const JobStatus& status, const JobMemory::Validations& memory);

// Makes it so: an amendment of the job.
void StopEarly(JobStatus& status, const JobMemory::Validations& memory);

// What was computed from `step` on is not what will be computed now.
void ForgetValidationsAfter(uint64_t step, JobStatus& status, JobMemory::Validations& memory);

}  // namespace waferstream
