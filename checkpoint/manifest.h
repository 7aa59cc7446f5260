// waferstream.json: what a sealed checkpoint is, and the hashes that prove it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "proto/job.pb.h"

namespace waferstream {

struct FileDigest {
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128 of the whole file, 32 hex digits
};

// Which generation of which job's members writes.
struct WriterEpoch {
  std::string job_id;  // empty: of no job
  uint32_t epoch = 0;

  std::string Name() const;  // "<job id>-e3"
  bool operator==(const WriterEpoch&) const = default;
};

// A folder with a readable manifest is sealed: the manifest is written last, before the rename.
struct Manifest {
  uint64_t steps_done = 0;
  double loss = 0;  // of the last step; 0 at step 0
  WriterEpoch written_by;
  // The jobs that the writer goes on from: whose checkpoint it started from, then whose that one
  // did, and so on.
  std::vector<std::string> ancestors;
  std::string weights_hash;    // XXH3-128 over the tensors of model.safetensors in order of name
  std::string optimizer_hash;  // the same over optimizer.safetensors; without one: of no bytes
  std::map<std::string, FileDigest> files;  // by name; every file but the manifest
  // What the weights depend on beside the job (plan/dependencies.h). CompleteFolder sets the build,
  // which is for people, and the numerics, which are 1 where an older manifest says nothing.
  std::string kernel_isa;  // empty: not known
  std::string build;
  uint32_t numerics = 1;
  JobSpec job;
};

std::string ManifestJson(const Manifest& manifest);

// NOT_FOUND: the folder has none. DATA_LOSS: it cannot be understood.
absl::StatusOr<Manifest> ReadManifest(Disk& disk, const std::string& folder);

struct TensorFileDigest {
  FileDigest file;
  std::string data_hash;  // of the bytes after the header: all tensors, in the file's order
};

// Reads the file once, in bounded pieces.
absl::StatusOr<TensorFileDigest> DigestTensorFile(Disk& disk, const std::string& path);
absl::StatusOr<FileDigest> DigestFile(Disk& disk, const std::string& path);

}  // namespace waferstream
