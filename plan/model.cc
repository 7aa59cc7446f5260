#include "plan/model.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/job_keys.h"

namespace waferstream {
namespace {

constexpr double kInitStd = 0.02;  // GPT-2's
constexpr int64_t kRowGrain = 64;  // tiles begin at a multiple of this many rows where they can

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

Parameter Matrix(std::string name, int64_t rows, int64_t cols, double init_std) {
  Parameter p;
  p.name = std::move(name);
  p.rows = rows;
  p.cols = cols;
  p.is_matrix = true;
  p.init_std = init_std;
  return p;
}

// A Conv1D of Hugging Face's GPT-2: `out` x `in` here, [in, out] in files.
Parameter Conv1D(std::string name, int64_t out, int64_t in, double init_std) {
  Parameter p = Matrix(std::move(name), out, in, init_std);
  p.transposed_in_checkpoint = true;
  return p;
}

Parameter Vector(std::string name, int64_t rows, double init_value) {
  Parameter p;
  p.name = std::move(name);
  p.rows = rows;
  p.cols = 1;
  p.init_value = init_value;
  return p;
}

absl::Status CheckShape(const ModelSpec& m) {
  if (m.family() != "gpt2") {
    return absl::InvalidArgumentError(
        absl::StrCat("model.family: \"", m.family(), "\" is not known; there is: gpt2"));
  }
  RETURN_IF_ERROR(CheckKeys(m));
  if (m.hidden() % m.heads() != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.hidden: ", m.hidden(), " is not divisible by model.heads: ", m.heads()));
  }
  return absl::OkStatus();
}

void AppendGpt2Layer(const ModelSpec& m, int layer, std::vector<Parameter>& out) {
  const std::string h = absl::StrCat("h.", layer, ".");
  // Scaled so that the residual's variance does not grow with depth.
  const double residual_std = kInitStd / std::sqrt(2.0 * m.layers());
  const int64_t hidden = m.hidden();
  out.push_back(Vector(h + "ln_1.weight", hidden, 1));
  out.push_back(Vector(h + "ln_1.bias", hidden, 0));
  out.push_back(Conv1D(h + "attn.c_attn.weight", 3 * hidden, hidden, kInitStd));
  out.push_back(Vector(h + "attn.c_attn.bias", 3 * hidden, 0));
  out.push_back(Conv1D(h + "attn.c_proj.weight", hidden, hidden, residual_std));
  out.push_back(Vector(h + "attn.c_proj.bias", hidden, 0));
  out.push_back(Vector(h + "ln_2.weight", hidden, 1));
  out.push_back(Vector(h + "ln_2.bias", hidden, 0));
  out.push_back(Conv1D(h + "mlp.c_fc.weight", m.ffn(), hidden, kInitStd));
  out.push_back(Vector(h + "mlp.c_fc.bias", m.ffn(), 0));
  out.push_back(Conv1D(h + "mlp.c_proj.weight", hidden, m.ffn(), residual_std));
  out.push_back(Vector(h + "mlp.c_proj.bias", hidden, 0));
}

// The first rows of a matrix's tiles, and its end: the fewest tiles that respect the bound, even up
// to a grain, larger ones first, so that no tile is a sliver and none is larger than the first.
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

absl::StatusOr<std::vector<Parameter>> BuildParameters(const ModelSpec& model) {
  RETURN_IF_ERROR(CheckShape(model));
  std::vector<Parameter> out;
  out.push_back(Matrix("wte.weight", model.vocab(), model.hidden(), kInitStd));
  out.back().contributions = model.tied() ? 2 : 1;
  out.push_back(Matrix("wpe.weight", model.context(), model.hidden(), kInitStd));
  for (uint32_t i = 0; i < model.layers(); ++i) AppendGpt2Layer(model, i, out);
  out.push_back(Vector("ln_f.weight", model.hidden(), 1));
  out.push_back(Vector("ln_f.bias", model.hidden(), 0));
  if (!model.tied()) {
    out.push_back(Matrix("lm_head.weight", model.vocab(), model.hidden(), kInitStd));
  }
  return out;
}

std::vector<Tile> CutTiles(std::vector<Parameter>& parameters, uint64_t tile_elements) {
  std::vector<Tile> tiles;
  for (size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = parameters[i];
    p.first_tile = static_cast<int>(tiles.size());
    const std::vector<int64_t> cuts = p.is_matrix ? Cuts(p, static_cast<int64_t>(tile_elements))
                                                  : std::vector{int64_t{0}, p.rows};
    for (size_t c = 0; c + 1 < cuts.size(); ++c) {
      Tile tile;
      tile.parameter = static_cast<int>(i);
      tile.first_row = cuts[c];
      tile.rows = cuts[c + 1] - cuts[c];
      tile.elements = tile.rows * p.cols;
      tile.slot = p.is_matrix ? kLarge : kSmall;
      tiles.push_back(tile);
    }
    p.tile_count = static_cast<int>(tiles.size()) - p.first_tile;
  }
  return tiles;
}

}  // namespace waferstream
