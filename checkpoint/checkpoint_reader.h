// Reads a checkpoint: this system's own, or another program's.
//
// Open checks everything that can be checked without reading the tensors, so that a later read can
// only fail on the disk's account. What is taken: open_model.h, tensor_names.h; F32, BF16 and F16.
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
#include "checkpoint/model_source.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"
#include "plan/optimizer_state.h"

namespace waferstream {

class CheckpointReader {
 public:
  // `path`: a folder, or another program's file. `states` of the parameters; none: weights only.
  // They must be there as they are described, but that a tensor may be of any type that can be
  // read. `disk` must outlive the reader. NOT_FOUND: no such folder or file. DATA_LOSS: damaged.
  // INVALID_ARGUMENT: another model than `model`, or optimizer state asked for and missing. One
  // line, naming file and tensor.
  static absl::StatusOr<CheckpointReader> Open(Disk& disk, const std::string& path,
                                               const ModelSpec& model,
                                               const std::vector<Parameter>& parameters,
                                               const StateTable& states);

  // Whether the weights are there to be read. Adapters are not in a plain model's checkpoint: who
  // trains them begins with new ones.
  bool Has(int parameter) const {
    return weights_[parameter].has_value() || !parameters_[parameter].adapter;
  }
  absl::Status ReadWeights(int parameter, RowSpan rows, float* values) const;
  // Rows of the state's tensor (plan/optimizer_state.h); `values` are of the state's dtype.
  absl::Status ReadState(int parameter, int state, RowSpan rows, std::byte* values) const;

  // Absent for a folder that this system did not write.
  const std::optional<Manifest>& manifest() const { return manifest_; }

  // Recomputes the manifest's hashes; reads every byte. DATA_LOSS names the file that differs.
  absl::Status Verify() const;

  // As ReadWeights. DATA_LOSS names the tensor that holds something else than finite numbers:
  // nothing that is computed from it would be one.
  absl::Status ReadFinite(int parameter, RowSpan rows, float* values) const;

  // DATA_LOSS: a tied output projection is written down once more, and is not the embedding.
  absl::Status CheckTiedHead() const;

  // Both, of everything.
  absl::Status CheckContent() const;

 private:
  CheckpointReader(Disk& disk, std::string folder, std::vector<Parameter> parameters,
                   StateTable states)
      : disk_(&disk),
        folder_(std::move(folder)),
        parameters_(std::move(parameters)),
        kept_(std::move(states)) {}

  absl::Status OpenModel(ModelSource source);
  absl::Status OpenOptimizer();
  absl::Status Read(const ModelSource::Tensor& source, int parameter, RowSpan rows,
                    float* values) const;

  Disk* disk_;
  std::string folder_;
  std::vector<Parameter> parameters_;
  StateTable kept_;
  std::optional<Manifest> manifest_;
  std::vector<std::unique_ptr<File>> files_;
  // By parameter; nullopt: all zero.
  std::vector<std::optional<ModelSource::Tensor>> weights_;
  std::optional<ModelSource::Tensor> tied_head_;
  std::vector<std::vector<ModelSource::Tensor>> states_;  // by parameter, state
};

}  // namespace waferstream
