#include "plan/model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "plan/families/families.h"
#include "plan/family_names.h"
#include "plan/graph.h"
#include "plan/job_keys.h"

namespace waferstream {
namespace {

constexpr int64_t kRowGrain = 64;  // tiles begin at a multiple of this many rows where they can

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Family {
  absl::string_view name;
  absl::StatusOr<Model> (*build)(const ModelSpec&);
  bool rotary = true;
  bool window = false;
  bool fraction = false;  // of a head's columns are turned, not all
  bool sequential = false;
  bool experts = false;
  bool norm_topk = false;
  bool exact_gelu = false;  // may be chosen
};
constexpr Family kFamilies[] = {
    {.name = "gpt2", .build = BuildGpt2, .rotary = false, .exact_gelu = true},
    {.name = "gpt_neox", .build = BuildGptNeox, .fraction = true, .sequential = true},
    {.name = "gptj", .build = BuildGptj, .fraction = true},
    {.name = "llama", .build = BuildLlama},
    {.name = "mistral", .build = BuildMistral, .window = true},
    {.name = "mixtral", .build = BuildMixtral, .window = true, .experts = true},
    {.name = "olmo2", .build = BuildOlmo2},
    {.name = "qwen2", .build = BuildQwen2},
    {.name = "qwen3", .build = BuildQwen3},
    {.name = "qwen3_moe", .build = BuildQwen3Moe, .experts = true, .norm_topk = true},
};

const Family* Find(const ModelSpec& model) {
  for (const Family& family : kFamilies) {
    if (family.name == model.family()) return &family;
  }
  return nullptr;
}

absl::StatusOr<const Family*> FamilyOf(const ModelSpec& model) {
  if (const Family* family = Find(model)) return family;
  return absl::InvalidArgumentError(
      absl::StrCat("model.family: \"", model.family(),
                   "\" is not known; there is: ", absl::StrJoin(FamilyNames(), ", ")));
}

// Whether a key is set that the family knows nothing of.
absl::Status CheckTaken(const Family& family, const ModelSpec& m) {
  const std::pair<const char*, double> of_rotary[] = {
      {"kv_heads", m.kv_heads()},
      {"head_dim", m.head_dim()},
      {"rope_theta", m.rope_theta()},
      {"rope_fraction", m.rope_fraction()},
      {"rope_factor", m.rope_factor()},
      {"rope_low_freq_factor", m.rope_low_freq_factor()},
      {"rope_high_freq_factor", m.rope_high_freq_factor()},
      {"rope_original_context", m.rope_original_context()}};
  const auto refuse = [&](const char* key, double value) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.", key, ": ", value, ", but the family ", family.name, " has none"));
  };
  for (const auto& [key, value] : of_rotary) {
    if (!family.rotary && value != 0) return refuse(key, value);
  }
  if (!family.fraction && m.rope_fraction() != 0 && m.rope_fraction() != 1) {
    return refuse("rope_fraction", m.rope_fraction());
  }
  if (!family.window && m.window() != 0) return refuse("window", m.window());
  if (family.experts && m.dropout() != 0) return refuse("dropout", m.dropout());
  const std::pair<const char*, double> of_experts[] = {{"experts", m.experts()},
                                                       {"experts_per_token", m.experts_per_token()},
                                                       {"router_aux_loss", m.router_aux_loss()}};
  for (const auto& [key, value] : of_experts) {
    if (!family.experts && value != 0) return refuse(key, value);
  }
  if (!family.norm_topk && m.norm_topk()) return refuse("norm_topk", m.norm_topk());
  if (!family.sequential && m.sequential()) return refuse("sequential", m.sequential());
  if (!family.exact_gelu && m.exact_gelu()) return refuse("exact_gelu", m.exact_gelu());
  return absl::OkStatus();
}

// A parameter that is used twice has two gradients.
void CountContributions(Model& model) {
  for (Parameter& p : model.parameters) p.contributions = 0;
  const auto count = [&](int parameter) {
    Parameter& p = model.parameters[parameter];
    if (p.trained) ++p.contributions;
  };
  for (const GraphNode& node : model.graph.nodes) {
    for (const int vector : node.vectors) count(vector);
    for (const int matrix : node.matrices) count(matrix);
  }
}

// The first rows of a parameter's tiles, and its end: the fewest tiles that respect the bound, even
// up to a grain, larger ones first, so that no tile is a sliver and none is larger than the first.
std::vector<int64_t> Cuts(const Parameter& p, int64_t tile_elements) {
  const int64_t rows_max = std::max<int64_t>(1, tile_elements / p.cols);
  // Below three grains the last tile could be a single row.
  const int64_t grain = rows_max >= 3 * kRowGrain ? kRowGrain : 1;
  const int64_t grains = CeilDiv(p.rows, grain);
  const int64_t count = CeilDiv(grains, rows_max / grain);
  std::vector<int64_t> cuts;
  for (int64_t i = 0; i <= count; ++i) {
    cuts.push_back(std::min(p.rows, CeilDiv(grains * i, count) * grain));
  }
  return cuts;
}

}  // namespace

std::vector<absl::string_view> FamilyNames() {
  std::vector<absl::string_view> names;
  for (const Family& family : kFamilies) names.push_back(family.name);
  return names;
}

ModelSpec WithDefaults(ModelSpec model) {
  const Family* family = Find(model);
  if (family == nullptr || !family->rotary) return model;
  if (model.kv_heads() == 0) model.set_kv_heads(model.heads());
  if (model.head_dim() == 0 && model.heads() != 0) {
    model.set_head_dim(model.hidden() / model.heads());
  }
  if (model.rope_theta() == 0) model.set_rope_theta(10000);
  if (model.rope_fraction() == 0) model.set_rope_fraction(1);
  if (model.rope_factor() == 0) return model;
  if (model.rope_low_freq_factor() == 0) model.set_rope_low_freq_factor(1);
  if (model.rope_high_freq_factor() == 0) model.set_rope_high_freq_factor(4);
  return model;
}

int64_t TurnedColumns(const ModelSpec& model) {
  return static_cast<int64_t>(model.rope_fraction() * model.head_dim());
}

absl::StatusOr<Model> BuildModel(const ModelSpec& spec) {
  ASSIGN_OR_RETURN(const Family* family, FamilyOf(spec));
  RETURN_IF_ERROR(CheckKeys(spec));
  RETURN_IF_ERROR(CheckTaken(*family, spec));
  ASSIGN_OR_RETURN(Model model, family->build(WithDefaults(spec)));
  CountContributions(model);
  return model;
}

absl::StatusOr<std::vector<Parameter>> BuildParameters(const ModelSpec& spec) {
  ASSIGN_OR_RETURN(Model model, BuildModel(spec));
  return std::move(model.parameters);
}

std::vector<Tile> CutTiles(std::vector<Parameter>& parameters, uint64_t tile_elements) {
  std::vector<Tile> tiles;
  for (size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = parameters[i];
    p.first_tile = static_cast<int>(tiles.size());
    const Parameter& like = p.cut_like >= 0 ? parameters[p.cut_like] : p;
    const std::vector<int64_t> cuts = p.one_tile || like.one_tile
                                          ? std::vector{int64_t{0}, p.rows}
                                          : Cuts(like, static_cast<int64_t>(tile_elements));
    for (size_t c = 0; c + 1 < cuts.size(); ++c) {
      Tile tile;
      tile.parameter = static_cast<int>(i);
      tile.index = static_cast<int>(c);
      tile.first_row = cuts[c];
      tile.rows = cuts[c + 1] - cuts[c];
      tile.elements = tile.rows * p.cols;
      tile.slot = p.two_dimensional ? kLarge : kSmall;
      tiles.push_back(tile);
    }
    p.tile_count = static_cast<int>(tiles.size()) - p.first_tile;
  }
  return tiles;
}

}  // namespace waferstream
