#include "checkpoint/initial_checkpoint.h"

#include <utility>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/initialise.h"
#include "checkpoint/new_folder.h"
#include "checkpoint/seal.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"

namespace waferstream {
namespace {

absl::Status WriteAll(Disk& disk, const CheckpointFormat& format, const std::string& partial,
                      uint64_t seed, Parallel& parallel) {
  ASSIGN_OR_RETURN(CheckpointWriter writer, CheckpointWriter::Open(disk, format, partial));
  std::vector<float> values;
  for (size_t i = 0; i < format.parameters.size(); ++i) {
    const Parameter& p = format.parameters[i];
    const int index = static_cast<int>(i);
    RETURN_IF_ERROR(ForPieces(p, [&](RowSpan rows) {
      values.resize(rows.count * p.cols);
      InitialiseRows(p, index, seed, rows, parallel, values.data());
      return writer.WriteWeights(index, rows, values.data());
    }));
  }
  return writer.Finish();
}

}  // namespace

absl::StatusOr<Manifest> WriteInitialCheckpoint(Disk& disk, const JobSpec& job,
                                                const std::string& path, Parallel& parallel) {
  CheckpointFormat format;
  ASSIGN_OR_RETURN(format.parameters, BuildParameters(job.model()));
  ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder, NewFolder::Create(disk, path));
  RETURN_IF_ERROR(WriteAll(disk, format, folder->partial(), job.training().seed(), parallel));
  Manifest manifest;
  manifest.job = job;
  std::vector<std::string> notes;
  ASSIGN_OR_RETURN(manifest,
                   CompleteFolder(disk, format, folder->partial(), std::move(manifest), notes));
  if (!notes.empty()) return absl::DataLossError(notes.front());
  RETURN_IF_ERROR(folder->Publish());
  return manifest;
}

}  // namespace waferstream
