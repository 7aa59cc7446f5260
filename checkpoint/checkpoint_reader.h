// Reads a checkpoint folder: this system's own, or one from Hugging Face.
//
// Open checks everything that can be checked without reading the tensors, so that a later read can
// only fail on the disk's account. Names may have the "transformer." prefix or not; the weights may
// be spread over several files (model_files.h); F32, BF16 and F16 are accepted; tensors that the
// model does not have (attention masks of old files) are ignored.
//
// Reading is thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"
#include "plan/optimizer_state.h"

namespace waferstream {

class CheckpointReader {
 public:
  // `states` of the parameters; none: weights only. They must be there as they are described, but
  // that a tensor may be of any type that can be read.
  // `disk` must outlive the reader. NOT_FOUND: no such folder or file. DATA_LOSS: damaged.
  // INVALID_ARGUMENT: another model than `model`, or optimizer state asked for and missing. One
  // line, naming file and tensor.
  static absl::StatusOr<CheckpointReader> Open(Disk& disk, const std::string& folder,
                                               const ModelSpec& model,
                                               const std::vector<Parameter>& parameters,
                                               const StateTable& states);

  absl::Status ReadWeights(int parameter, RowSpan rows, float* values) const;
  // Rows of the state's tensor (plan/optimizer_state.h); `values` are of the state's dtype.
  absl::Status ReadState(int parameter, int state, RowSpan rows, std::byte* values) const;

  // Absent for a folder that this system did not write.
  const std::optional<Manifest>& manifest() const { return manifest_; }

  // Recomputes the manifest's hashes; reads every byte. DATA_LOSS names the file that differs.
  absl::Status Verify() const;

  // Reads every weight. DATA_LOSS names the first that is not a finite number: nothing that is
  // computed from it would be.
  absl::Status CheckFinite() const;

 private:
  struct Source {
    int file;
    TensorInfo tensor;
  };

  CheckpointReader(Disk& disk, std::string folder, std::vector<Parameter> parameters,
                   StateTable states)
      : disk_(&disk),
        folder_(std::move(folder)),
        parameters_(std::move(parameters)),
        kept_(std::move(states)) {}

  absl::Status OpenModel();
  absl::Status OpenOptimizer();

  Disk* disk_;
  std::string folder_;
  std::vector<Parameter> parameters_;
  StateTable kept_;
  std::optional<Manifest> manifest_;
  std::vector<std::unique_ptr<File>> files_;
  std::vector<Source> weights_;              // by parameter
  std::vector<std::vector<Source>> states_;  // by parameter, state
};

}  // namespace waferstream
