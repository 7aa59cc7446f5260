#include "checkpoint/export.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/adapters.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/companion_files.h"
#include "checkpoint/config.h"
#include "checkpoint/layout.h"
#include "checkpoint/model_files.h"
#include "checkpoint/new_checkpoint.h"
#include "checkpoint/open_model.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"

namespace waferstream {
namespace {

// Parameters that come into one file, by their place in the list.
using Shard = std::vector<int>;

uint64_t ElementsOf(const Parameter& p) { return static_cast<uint64_t>(p.rows) * p.cols; }

// In order of the list, each file as full as the limit lets it be.
std::vector<Shard> CutShards(const std::vector<Parameter>& parameters,
                             const ExportOptions& options) {
  std::vector<Shard> shards;
  uint64_t filled = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const uint64_t bytes = ElementsOf(parameters[i]) * BytesOf(options.dtype);
    if (shards.empty() || filled + bytes > options.shard_bytes_max) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(static_cast<int>(i));
    filled += bytes;
  }
  return shards;
}

std::string NameOf(size_t shard, size_t shards) {
  return shards == 1 ? kModelFile : ShardName(shard + 1, shards);
}

// Nothing of a model becomes infinity in silence.
absl::Status CheckRange(const Parameter& parameter, const std::vector<float>& values) {
  for (const float value : values) {
    if (std::isinf(value) || !(std::fabs(value) >= kHalfOverflow)) continue;
    return absl::OutOfRangeError(absl::StrCat("tensor '", TensorName(parameter), "' holds ", value,
                                              ", more than an f16 can be; bf16 has room for it"));
  }
  return absl::OkStatus();
}

// Copies the model, one file after the other.
class Exporter {
 public:
  Exporter(Disk& disk, FillRows read, const std::vector<Parameter>& parameters,
           const ExportOptions& options, const OnProgress& on_progress)
      : disk_(disk),
        read_(std::move(read)),
        parameters_(parameters),
        options_(options),
        on_progress_(on_progress) {
    for (const Parameter& p : parameters) elements_ += ElementsOf(p);
  }

  // All of it in one file.
  absl::Status WriteFile(const std::string& path) {
    Shard all(parameters_.size());
    std::iota(all.begin(), all.end(), 0);
    return WriteShard(path, all);
  }

  absl::Status Write(const NewFolder& folder) {
    const std::vector<Shard> shards = CutShards(parameters_, options_);
    if (shards.size() > kShardsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(shards.size(), " files are more than ", kShardsMax, "; let them be larger"));
    }
    for (size_t i = 0; i < shards.size(); ++i) {
      RETURN_IF_ERROR(WriteShard(folder.PathOf(NameOf(i, shards.size())), shards[i]));
    }
    if (shards.size() == 1) return absl::OkStatus();
    return WriteSmallFile(disk_, folder.PathOf(kIndexFile), IndexJson(shards));
  }

 private:
  absl::Status WriteShard(const std::string& path, const Shard& shard) {
    std::vector<Parameter> of_shard;
    for (const int i : shard) of_shard.push_back(parameters_[i]);
    const FileLayout layout = FileLayout::OfShard(of_shard, options_.dtype);
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk_.OpenForWriting(path));
    RETURN_IF_ERROR(file->Resize(layout.bytes()));
    RETURN_IF_ERROR(file->WriteAt(0, layout.header().data(), layout.header().size()));
    for (size_t i = 0; i < shard.size(); ++i) {
      RETURN_IF_ERROR(Copy(shard[i], layout.Of(static_cast<int>(i)), *file));
    }
    return file->Sync();
  }

  absl::Status Copy(int parameter, const TensorInfo& tensor, File& file) {
    const Parameter& p = parameters_[parameter];
    return ForPieces(p, [&](RowSpan rows) {
      values_.resize(rows.count * p.cols);
      RETURN_IF_ERROR(read_(parameter, rows, values_.data()));
      if (options_.dtype == StoredDtype::kF16) RETURN_IF_ERROR(CheckRange(p, values_));
      RETURN_IF_ERROR(WriteRows(file, tensor, p, rows, values_.data()));
      done_ += values_.size();
      const size_t width = BytesOf(options_.dtype);
      if (on_progress_) on_progress_(done_ * width, elements_ * width);
      return absl::OkStatus();
    });
  }

  std::string IndexJson(const std::vector<Shard>& shards) const {
    nlohmann::json index;
    index["metadata"] = {{"total_parameters", elements_},
                         {"total_size", elements_ * BytesOf(options_.dtype)}};
    for (size_t i = 0; i < shards.size(); ++i) {
      for (const int p : shards[i]) {
        index["weight_map"][TensorName(parameters_[p])] = NameOf(i, shards.size());
      }
    }
    return index.dump(2) + "\n";
  }

  Disk& disk_;
  const FillRows read_;
  const std::vector<Parameter>& parameters_;
  const ExportOptions& options_;
  const OnProgress& on_progress_;
  uint64_t elements_ = 0;  // of the whole model
  uint64_t done_ = 0;      // elements
  std::vector<float> values_;
};

absl::Status WriteAdapters(Disk& disk, const CheckpointReader& reader, const ModelSpec& model,
                           const std::vector<Parameter>& parameters, const ExportOptions& options,
                           const OnProgress& on_progress, const NewFolder& folder) {
  const PeftAdapters adapters = PeftAdaptersOf(parameters);
  const FillRows read = [&](int parameter, RowSpan rows, float* values) {
    return reader.ReadWeights(adapters.places[parameter], rows, values);
  };
  Exporter exporter(disk, read, adapters.parameters, options, on_progress);
  RETURN_IF_ERROR(exporter.WriteFile(folder.PathOf("adapter_model.safetensors")));
  return WriteSmallFile(disk, folder.PathOf("adapter_config.json"),
                        PeftConfigJson(model, parameters));
}

}  // namespace

absl::Status ExportCheckpoint(Disk& disk, const std::string& from, const std::string& to,
                              const ExportOptions& options, const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(ModelSpec model, ReadModel(disk, from));
  ASSIGN_OR_RETURN(const std::vector<Parameter> parameters, BuildParameters(model));
  const bool alone = options.adapters == AdapterExport::kAlone;
  if (alone && !model.has_lora()) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint ", from, ": has no adapters"));
  }
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(disk, from, model, parameters, {}));
  ASSIGN_OR_RETURN(const std::unique_ptr<NewFolder> folder, NewFolder::Create(disk, to));
  if (alone) {
    RETURN_IF_ERROR(WriteAdapters(disk, reader, model, parameters, options, on_progress, *folder));
    return folder->Publish();
  }
  MergedWeights merged(reader, model, parameters);
  const FillRows read = [&](int p, RowSpan rows, float* v) { return merged.Read(p, rows, v); };
  Exporter exporter(disk, read, merged.parameters(), options, on_progress);
  RETURN_IF_ERROR(exporter.Write(*folder));
  model.clear_lora();
  RETURN_IF_ERROR(
      WriteSmallFile(disk, folder->PathOf(kConfigFile), ConfigJson(model, options.dtype)));
  ASSIGN_OR_RETURN(const CompanionFiles beside, CopyCompanionFiles(disk, from, folder->partial()));
  if (!beside.unreadable.empty()) return absl::DataLossError(beside.unreadable.front());
  return folder->Publish();
}

}  // namespace waferstream
