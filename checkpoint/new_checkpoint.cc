#include "checkpoint/new_checkpoint.h"

#include <memory>
#include <utility>

#include "base/status.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/new_folder.h"
#include "checkpoint/seal.h"
#include "checkpoint/tensor_io.h"

namespace waferstream {
namespace {

absl::Status WriteAll(Disk& disk, const CheckpointFormat& format, const std::string& partial,
                      const FillRows& fill) {
  ASSIGN_OR_RETURN(CheckpointWriter writer, CheckpointWriter::Open(disk, format, partial));
  std::vector<float> values;
  for (size_t i = 0; i < format.parameters.size(); ++i) {
    const Parameter& p = format.parameters[i];
    const int index = static_cast<int>(i);
    RETURN_IF_ERROR(ForPieces(p, [&](RowSpan rows) {
      values.resize(rows.count * p.cols);
      RETURN_IF_ERROR(fill(index, rows, values.data()));
      return writer.WriteWeights(index, rows, values.data());
    }));
  }
  return writer.Finish();
}

}  // namespace

absl::StatusOr<Manifest> WriteNewCheckpoint(Disk& disk, const std::string& path,
                                            const std::vector<Parameter>& parameters,
                                            Manifest manifest, const FillRows& fill) {
  const CheckpointFormat format = {.parameters = parameters, .states = {}};
  ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder, NewFolder::Create(disk, path));
  RETURN_IF_ERROR(WriteAll(disk, format, folder->partial(), fill));
  std::vector<std::string> unreadable;
  ASSIGN_OR_RETURN(
      manifest, CompleteFolder(disk, format, folder->partial(), std::move(manifest), unreadable));
  if (!unreadable.empty()) return absl::DataLossError(unreadable.front());
  RETURN_IF_ERROR(folder->Publish());
  return manifest;
}

}  // namespace waferstream
