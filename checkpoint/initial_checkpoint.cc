#include "checkpoint/initial_checkpoint.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_id.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/config.h"
#include "checkpoint/folder.h"
#include "checkpoint/initialise.h"
#include "checkpoint/seal.h"
#include "plan/model.h"

namespace waferstream {
namespace {

// Elements that are in memory at a time.
constexpr uint64_t kPieceElements = 1 << 20;

// A path without a trailing slash, so that its last part is a name, in a folder that exists.
absl::StatusOr<std::string> NewFolder(Disk& disk, const std::string& path) {
  std::string folder = path;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (disk.Exists(folder)) {
    return absl::AlreadyExistsError(absl::StrCat(folder, " is already there"));
  }
  const std::string parent = std::filesystem::path(folder).parent_path().string();
  if (!parent.empty()) RETURN_IF_ERROR(CreateFolders(disk, parent));
  return folder;
}

// A folder of this call's own beside `folder`, whatever others write there; removed again unless it
// has got its name.
class OwnPartial {
 public:
  OwnPartial(Disk& disk, const std::string& folder)
      : disk_(disk), path_(PartialBeside(folder, Base32(RandomBits()))) {}
  ~OwnPartial() { disk_.Remove(path_).IgnoreError(); }
  const std::string& path() const { return path_; }

 private:
  Disk& disk_;
  const std::string path_;
};

// Writes every parameter, piece by piece; fill(parameter, rows, values) gives the values.
template <class Fill>
absl::Status WriteAll(Disk& disk, const CheckpointFormat& format, const std::string& partial,
                      Fill fill) {
  std::vector<Parameter> parameters = format.parameters;
  const std::vector<Tile> pieces = CutTiles(parameters, kPieceElements);
  ASSIGN_OR_RETURN(CheckpointWriter writer, CheckpointWriter::Open(disk, format, partial));
  std::vector<float> values;
  for (const Tile& piece : pieces) {
    const RowSpan rows = {piece.first_row, piece.rows};
    values.resize(piece.elements);
    RETURN_IF_ERROR(fill(piece.parameter, rows, values.data()));
    RETURN_IF_ERROR(writer.Write(piece, values.data(), {}));
  }
  return writer.Finish();
}

}  // namespace

absl::StatusOr<Manifest> WriteInitialCheckpoint(Disk& disk, const JobSpec& job,
                                                const std::string& path, Parallel& parallel) {
  ASSIGN_OR_RETURN(const std::string folder, NewFolder(disk, path));
  CheckpointFormat format;
  ASSIGN_OR_RETURN(format.parameters, BuildParameters(job.model()));
  const OwnPartial partial(disk, folder);
  const auto initialise = [&](int parameter, RowSpan rows, float* values) {
    InitialiseRows(format.parameters[parameter], parameter, job.training().seed(), rows, parallel,
                   values);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(WriteAll(disk, format, partial.path(), initialise));
  Manifest manifest;
  manifest.job = job;
  ASSIGN_OR_RETURN(manifest, CompleteFolder(disk, format, partial.path(), std::move(manifest)));
  RETURN_IF_ERROR(PublishNewFolder(disk, partial.path(), folder));
  return manifest;
}

absl::Status ExportCheckpoint(Disk& disk, const std::string& from, const std::string& to,
                              Dtype dtype) {
  ASSIGN_OR_RETURN(const std::string folder, NewFolder(disk, to));
  ASSIGN_OR_RETURN(const ModelSpec model, ReadConfig(disk, from));
  CheckpointFormat format;
  format.dtype = dtype;
  ASSIGN_OR_RETURN(format.parameters, BuildParameters(model));
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(disk, from, model, format.parameters, {}));
  const OwnPartial partial(disk, folder);
  RETURN_IF_ERROR(
      WriteAll(disk, format, partial.path(), [&](int parameter, RowSpan rows, float* values) {
        return reader.ReadWeights(parameter, rows, values);
      }));
  RETURN_IF_ERROR(WriteSmallFile(disk, absl::StrCat(partial.path(), "/", kConfigFile),
                                 ConfigJson(model, dtype)));
  return PublishNewFolder(disk, partial.path(), folder);
}

}  // namespace waferstream
