#include "checkpoint/checkpoint_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

absl::StatusOr<CheckpointWriter> CheckpointWriter::Open(Disk& disk, const CheckpointFormat& format,
                                                        const std::string& folder) {
  RETURN_IF_ERROR(disk.CreateFolder(folder));
  CheckpointWriter writer(disk, format, folder);
  ASSIGN_OR_RETURN(writer.model_, writer.OpenSized(kModelFile, writer.model_layout_));
  if (KeepsAny(format.states)) {
    ASSIGN_OR_RETURN(writer.optimizer_, writer.OpenSized(kOptimizerFile, writer.optimizer_layout_));
  }
  return writer;
}

CheckpointWriter::CheckpointWriter(Disk& disk, const CheckpointFormat& format, std::string folder)
    : disk_(&disk),
      folder_(std::move(folder)),
      format_(format),
      model_layout_(FileLayout::OfModel(format.parameters)),
      optimizer_layout_(FileLayout::OfOptimizer(format.parameters, format.states)) {}

absl::StatusOr<std::unique_ptr<File>> CheckpointWriter::OpenSized(const char* name,
                                                                  const FileLayout& layout) const {
  ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                   disk_->OpenForWriting(absl::StrCat(folder_, "/", name)));
  RETURN_IF_ERROR(file->Resize(layout.bytes()));
  RETURN_IF_ERROR(file->WriteAt(0, layout.header().data(), layout.header().size()));
  return file;
}

absl::Status CheckpointWriter::WriteWeights(int parameter, RowSpan rows, const float* weights) {
  return WriteRows(*model_, model_layout_.Of(parameter), format_.parameters[parameter], rows,
                   weights);
}

absl::Status CheckpointWriter::Write(const Tile& tile, const float* weights,
                                     std::span<std::byte* const> states) {
  RETURN_IF_ERROR(WriteWeights(tile.parameter, {tile.first_row, tile.rows}, weights));
  if (optimizer_ == nullptr) return absl::OkStatus();
  const std::vector<OptimizerState>& kept = format_.states[tile.parameter];
  WS_CHECK(states.size() == kept.size());
  for (size_t s = 0; s < states.size(); ++s) {
    const TensorInfo& tensor = optimizer_layout_.Of(tile.parameter, static_cast<int>(s));
    RETURN_IF_ERROR(WriteRows(*optimizer_, tensor,
                              ShapeOf(kept[s], format_.parameters[tile.parameter]),
                              RowsOf(kept[s], tile), kept[s].dtype, states[s]));
  }
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Finish() {
  RETURN_IF_ERROR(model_->Sync());
  if (optimizer_ != nullptr) RETURN_IF_ERROR(optimizer_->Sync());
  return disk_->SyncFolder(folder_);
}

}  // namespace waferstream
