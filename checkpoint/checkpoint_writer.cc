#include "checkpoint/checkpoint_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::StatusOr<File> OpenSized(const std::string& path, const FileLayout& layout) {
  ASSIGN_OR_RETURN(File file, File::OpenForWriting(path));
  RETURN_IF_ERROR(file.Resize(layout.bytes()));
  RETURN_IF_ERROR(file.WriteAt(0, layout.header().data(), layout.header().size()));
  return file;
}

}  // namespace

absl::StatusOr<CheckpointWriter> CheckpointWriter::Open(const CheckpointFormat& format,
                                                        const std::string& folder) {
  RETURN_IF_ERROR(CreateFolders(folder));
  FileLayout model_layout = FileLayout::OfModel(format.parameters, format.dtype);
  FileLayout optimizer_layout = FileLayout::OfOptimizer(format.parameters, format.states);
  ASSIGN_OR_RETURN(File model, OpenSized(absl::StrCat(folder, "/", kModelFile), model_layout));
  std::optional<File> optimizer;
  if (!format.states.empty()) {
    ASSIGN_OR_RETURN(optimizer,
                     OpenSized(absl::StrCat(folder, "/", kOptimizerFile), optimizer_layout));
  }
  return CheckpointWriter(format, std::move(model_layout), std::move(optimizer_layout),
                          std::move(model), std::move(optimizer));
}

CheckpointWriter::CheckpointWriter(const CheckpointFormat& format, FileLayout model_layout,
                                   FileLayout optimizer_layout, File model,
                                   std::optional<File> optimizer)
    : parameters_(format.parameters),
      states_(format.states.size()),
      model_layout_(std::move(model_layout)),
      optimizer_layout_(std::move(optimizer_layout)),
      model_(std::move(model)),
      optimizer_(std::move(optimizer)) {}

absl::Status CheckpointWriter::Write(int parameter, RowSpan rows, const float* weights,
                                     std::span<const float* const> states) {
  WS_CHECK(states.size() == states_);
  const Parameter& shape = parameters_[parameter];
  RETURN_IF_ERROR(WriteRows(model_, model_layout_.Of(parameter), shape, rows, weights));
  for (size_t s = 0; s < states.size(); ++s) {
    const TensorInfo& tensor = optimizer_layout_.Of(parameter, static_cast<int>(s));
    RETURN_IF_ERROR(WriteRows(*optimizer_, tensor, shape, rows, states[s]));
  }
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Finish() {
  RETURN_IF_ERROR(model_.Sync());
  return optimizer_ ? optimizer_->Sync() : absl::OkStatus();
}

}  // namespace waferstream
