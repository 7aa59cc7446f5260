#include "checkpoint/import.h"

#include <utility>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/open_model.h"
#include "checkpoint/seal.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"

namespace waferstream {
namespace {

absl::Status CopyWeights(Disk& disk, const CheckpointReader& reader, const CheckpointFormat& format,
                         const std::string& partial, const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(CheckpointWriter writer, CheckpointWriter::Open(disk, format, partial));
  uint64_t done = 0, total = 0;
  for (const Parameter& p : format.parameters) total += p.rows * p.cols * sizeof(float);
  std::vector<float> values;
  for (size_t i = 0; i < format.parameters.size(); ++i) {
    const Parameter& p = format.parameters[i];
    const int index = static_cast<int>(i);
    RETURN_IF_ERROR(ForPieces(p, [&](RowSpan rows) {
      values.resize(rows.count * p.cols);
      RETURN_IF_ERROR(reader.ReadFinite(index, rows, values.data()));
      RETURN_IF_ERROR(writer.WriteWeights(index, rows, values.data()));
      done += values.size() * sizeof(float);
      if (on_progress) on_progress(done, total);
      return absl::OkStatus();
    }));
  }
  RETURN_IF_ERROR(reader.CheckTiedHead());
  return writer.Finish();
}

}  // namespace

absl::StatusOr<Manifest> ImportCheckpoint(Disk& disk, const std::string& from,
                                          const std::string& to, const OnProgress& on_progress) {
  Manifest manifest;
  // No job made it. Where it came from is what a job would have started from.
  manifest.job.set_name("import");
  manifest.job.mutable_checkpoint()->set_from(from);
  ASSIGN_OR_RETURN(*manifest.job.mutable_model(), ReadModel(disk, from));
  CheckpointFormat format;
  ASSIGN_OR_RETURN(format.parameters, BuildParameters(manifest.job.model()));
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(disk, from, manifest.job.model(), format.parameters, {}));
  ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder, NewFolder::Create(disk, to));
  RETURN_IF_ERROR(CopyWeights(disk, reader, format, folder->partial(), on_progress));
  std::vector<std::string> unreadable;
  ASSIGN_OR_RETURN(
      manifest, CompleteFolder(disk, format, folder->partial(), std::move(manifest), unreadable));
  if (!unreadable.empty()) return absl::DataLossError(unreadable.front());
  RETURN_IF_ERROR(folder->Publish());
  return manifest;
}

}  // namespace waferstream
