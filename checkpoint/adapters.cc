#include "checkpoint/adapters.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/layout.h"
#include "plan/graph.h"

namespace waferstream {
namespace {

// The module with its prefix, as PEFT's targets name it: "transformer.h.0.attn.c_attn".
std::string TargetOf(const Parameter& a) {
  const std::string name = TensorName(a);
  return name.substr(0, name.size() - std::string(kAdapterA).size());
}

}  // namespace

MergedWeights::MergedWeights(const CheckpointReader& reader, const ModelSpec& model,
                             const std::vector<Parameter>& all)
    : reader_(reader), all_(all), scale_(model.lora().alpha() / model.lora().rank()) {
  std::map<std::string, int> adapters;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].adapter) adapters[all[i].name] = static_cast<int>(i);
  }
  const auto find = [&](const Parameter& p, const char* end) {
    const auto found = adapters.find(absl::StrCat(ModuleOf(p.name), end));
    return found == adapters.end() ? -1 : found->second;
  };
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].adapter) continue;
    plain_.push_back(all[i]);
    const bool weight = absl::EndsWith(all[i].name, ".weight");
    sources_.push_back({.weights = static_cast<int>(i),
                        .a = weight ? find(all[i], kAdapterA) : -1,
                        .b = weight ? find(all[i], kAdapterB) : -1});
  }
}

absl::Status MergedWeights::LoadA(const Source& source) {
  if (loaded_ == source.a) return absl::OkStatus();
  const Parameter& a = all_[source.a];
  a_.resize(a.rows * a.cols);
  RETURN_IF_ERROR(reader_.ReadWeights(source.a, {0, a.rows}, a_.data()));
  loaded_ = source.a;
  return absl::OkStatus();
}

absl::Status MergedWeights::Read(int parameter, RowSpan rows, float* values) {
  const Source& source = sources_[parameter];
  RETURN_IF_ERROR(reader_.ReadWeights(source.weights, rows, values));
  if (source.a < 0) return absl::OkStatus();
  RETURN_IF_ERROR(LoadA(source));
  const int64_t rank = all_[source.a].rows, cols = all_[source.a].cols;
  b_.resize(rows.count * rank);
  RETURN_IF_ERROR(reader_.ReadWeights(source.b, rows, b_.data()));
  std::vector<double> sums(cols);
  for (int64_t row = 0; row < rows.count; ++row) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t k = 0; k < rank; ++k) {
      const double b = b_[row * rank + k];
      for (int64_t c = 0; c < cols; ++c) sums[c] += b * a_[k * cols + c];
    }
    float* out = values + row * cols;
    for (int64_t c = 0; c < cols; ++c) out[c] = static_cast<float>(out[c] + scale_ * sums[c]);
  }
  return absl::OkStatus();
}

std::string PeftConfigJson(const ModelSpec& model, const std::vector<Parameter>& all) {
  nlohmann::json targets = nlohmann::json::array();
  for (const Parameter& p : all) {
    if (p.adapter && absl::EndsWith(p.name, kAdapterA)) targets.push_back(TargetOf(p));
  }
  const nlohmann::json config = {{"peft_type", "LORA"},
                                 {"task_type", "CAUSAL_LM"},
                                 {"r", model.lora().rank()},
                                 {"lora_alpha", model.lora().alpha()},
                                 {"lora_dropout", model.lora().dropout()},
                                 {"target_modules", targets},
                                 {"bias", "none"},
                                 // GPT-2's Conv1D keeps its weights as [in, out].
                                 {"fan_in_fan_out", model.family() == "gpt2"},
                                 {"inference_mode", true},
                                 {"base_model_name_or_path", nullptr}};
  return config.dump(2) + "\n";
}

PeftAdapters PeftAdaptersOf(const std::vector<Parameter>& all) {
  PeftAdapters adapters;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!all[i].adapter) continue;
    adapters.places.push_back(static_cast<int>(i));
    adapters.parameters.push_back(all[i]);
    std::string& prefix = adapters.parameters.back().prefix;
    prefix = absl::StrCat("base_model.model.", prefix);
  }
  return adapters;
}

}  // namespace waferstream
