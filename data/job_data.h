// The token files of a job: opened, checked against its model, and known by their content.
//
// The client records the content in the job (RecordContent); every wafer that opens the files
// refuses other content (OpenRecorded). So a job's numbers come from the bytes that it was
// submitted with, whatever becomes of the paths.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/token_file.h"
#include "proto/job.pb.h"

namespace waferstream {

// Keeps token files open, so that the epochs of a job read them through only once. Not thread-safe;
// the files are.
class OpenTokenFiles {
 public:
  // `disk` outlives it, and every file.
  explicit OpenTokenFiles(Disk& disk) : disk_(disk) {}

  // The file at `path`: the one opened before, if it still is what it was then. As TokenFile::Open.
  absl::StatusOr<std::shared_ptr<const TokenFile>> Open(const std::string& path, uint32_t vocab);
  void Forget() { files_.clear(); }

 private:
  Disk& disk_;
  std::map<std::string, std::shared_ptr<const TokenFile>> files_;  // by path
};

struct JobData {
  std::vector<std::shared_ptr<const TokenFile>> train;  // none: the job evaluates
  std::shared_ptr<const TokenFile> validation;          // null: the job has none
};

// Opens the files of a job that trains or evaluates and checks every token. INVALID_ARGUMENT, one
// line naming field and file: unreadable, too short for one sample, or a token that is not in the
// vocabulary. UNAVAILABLE: the disk fails, which may pass.
absl::StatusOr<JobData> OpenJobData(const JobSpec& job, OpenTokenFiles& files);

// Opens and checks the files, and records in the job what is in them. Errors: as OpenJobData.
absl::Status RecordContent(Disk& disk, JobSpec& job);

// Opens and checks the files. INVALID_ARGUMENT beyond those of OpenJobData: the content is not what
// the job records, naming both, or the job records none.
absl::StatusOr<JobData> OpenRecorded(const JobSpec& job, OpenTokenFiles& files);

}  // namespace waferstream
