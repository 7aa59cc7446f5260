// The job that a command is about: read, completed and checked before anything starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"

namespace CLI {
class App;
}

namespace waferstream {

// Where a job comes from, as given on the command line.
struct JobFlags {
  std::string file;
  std::vector<std::string> set;  // "key.path=value"
  std::optional<int> wafers;
  std::optional<int> memoryx;
  std::optional<int> swarmx;
  std::vector<std::string> accept;  // beside those of checkpoint.accept
};

void AddJobFlags(CLI::App& command, JobFlags& flags);
// --accept, of commands that run the job.
void AddAcceptFlag(CLI::App& command, JobFlags& flags);

// Reads the job file with the flags applied. checkpoint.dir and checkpoint.from become absolute,
// relative to the current folder. INVALID_ARGUMENT: one line that names file, line and key.
absl::StatusOr<JobSpec> LoadJob(const JobFlags& flags);

// A checkpoint that somebody named.
struct NamedCheckpoint {
  std::string path;  // absolute
  // Which newer ones are damaged and were passed over; one line each.
  std::vector<std::string> notes;
};

// A checkpoint by any of its names: itself, or a folder of checkpoints or a run folder: then the
// newest one in it that is whole, by every byte. INVALID_ARGUMENT, naming `flag`: there is none.
absl::StatusOr<NamedCheckpoint> ResolveCheckpoint(const std::string& flag, const std::string& dir);

// The same for one that is to be gone on from: without a manifest nobody knows from which step.
absl::StatusOr<NamedCheckpoint> ResolveContinuation(const std::string& flag,
                                                    const std::string& dir);

enum class OutputFolder {
  kToCheck,  // no other job's checkpoints may be there
  kOurs,     // those that are there are this job's
};

// Everything that can be known to be wrong with a job from here: that it compiles, that its data
// has enough tokens within the vocabulary, that its checkpoint is whole and fits, that the folder
// for its checkpoints is no other job's. Reads all of the data and the checkpoint once, and records
// in the job what is in its data files. Appends to `notes` what it starts from
// (checkpoint/origin.h), and what else the user should know of how it goes on from there.
// INVALID_ARGUMENT, or RESOURCE_EXHAUSTED when the job does not fit its wafers; one line, naming
// field or file.
absl::Status CheckJob(JobSpec& job, OutputFolder output, std::vector<std::string>& notes);

}  // namespace waferstream
