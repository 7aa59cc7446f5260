// Writes tiles into the files of a checkpoint that is not sealed yet.
//
// Any number of writers, in any processes that share the file system, may write disjoint tiles into
// one folder; the files come out the same as from one writer. What an earlier crash left in the
// folder does no harm: every byte is written again before the folder is sealed.
//
// Lifecycle: Open, Write for every tile this process owns, Finish. Not thread-safe; blocks on the
// disk. After an error the folder is not complete and must not be sealed.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/layout.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"
#include "plan/optimizer_state.h"

namespace waferstream {

// What a checkpoint holds.
struct CheckpointFormat {
  std::vector<Parameter> parameters;
  StateTable states;  // of the parameters, or none
};

class CheckpointWriter {
 public:
  // Creates the folder and sizes its files where that has not been done yet. `disk` must outlive
  // the writer. NOT_FOUND: what should hold the folder is not there: the writer is of an epoch that
  // has been replaced.
  static absl::StatusOr<CheckpointWriter> Open(Disk& disk, const CheckpointFormat& format,
                                               const std::string& folder);

  // A tile: its weights, and one array for each state that the format has of its parameter.
  absl::Status Write(const Tile& tile, const float* weights, std::span<std::byte* const> states);

  // Some rows of a parameter's weights, where the format has no states.
  absl::Status WriteWeights(int parameter, RowSpan rows, const float* weights);

  // Returns when everything written is on the disk, where every process sees it. NOT_FOUND: the
  // folder was removed meanwhile, and everything written with it.
  absl::Status Finish();

 private:
  CheckpointWriter(Disk& disk, const CheckpointFormat& format, std::string folder);

  // The file of this layout, sized and with its header.
  absl::StatusOr<std::unique_ptr<File>> OpenSized(const char* name, const FileLayout& layout) const;

  Disk* disk_;
  std::string folder_;
  CheckpointFormat format_;
  FileLayout model_layout_;
  FileLayout optimizer_layout_;
  std::unique_ptr<File> model_;
  std::unique_ptr<File> optimizer_;  // null without states
};

}  // namespace waferstream
