#include "plan/program.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

struct Projection {
  Site site;
  const char* name;
};
// In forward order.
constexpr Projection kProjections[] = {{Site::kQkv, "attn.c_attn"},
                                       {Site::kAttentionOut, "attn.c_proj"},
                                       {Site::kUp, "mlp.c_fc"},
                                       {Site::kDown, "mlp.c_proj"}};
enum { kQkv, kOut, kUp, kDown, kProjectionCount };

// Where a layer's tiles are in the stream; empty: not streamed.
struct LayerPositions {
  std::vector<int> norm1;  // gain, bias
  std::vector<int> norm2;
  std::vector<int> bias[kProjectionCount];
  std::vector<int> matrix[kProjectionCount];
};

std::string LayerName(int layer, const char* what) { return absl::StrCat("h.", layer, ".", what); }

Op MakeOp(OpKind kind, Site site, int layer) {
  Op op;
  op.kind = kind;
  op.site = site;
  op.layer = layer;
  return op;
}

class ParameterTable {
 public:
  explicit ParameterTable(const std::vector<Parameter>& parameters) {
    for (const Parameter& p : parameters) by_name_[p.name] = &p;
  }
  const Parameter& Find(const std::string& name) const {
    const auto it = by_name_.find(name);
    WS_CHECK(it != by_name_.end());
    return *it->second;
  }

 private:
  absl::flat_hash_map<std::string, const Parameter*> by_name_;
};

// One pass being written: its stream and its ops. The last op that needs a position releases it.
class PassWriter {
 public:
  PassWriter(const ParameterTable& table, std::vector<int>& stream, std::vector<Op>& ops)
      : table_(table), stream_(stream), ops_(ops) {}

  // Appends a parameter's tiles to the stream and their positions to `positions`.
  void Stream(const std::string& name, std::vector<int>& positions) {
    const Parameter& p = table_.Find(name);
    for (int i = 0; i < p.tile_count; ++i) {
      positions.push_back(static_cast<int>(stream_.size()));
      stream_.push_back(p.first_tile + i);
    }
  }

  Op& Add(OpKind kind, Site site, int layer, std::vector<int> needs = {}) {
    Op op = MakeOp(kind, site, layer);
    op.needs = std::move(needs);
    ops_.push_back(std::move(op));
    return ops_.back();
  }

  // One op for every tile, which needs the tile and `also`.
  void AddPerTile(OpKind kind, Site site, int layer, const std::vector<int>& tiles,
                  const std::vector<int>& also = {}) {
    for (int position : tiles) {
      Op& op = Add(kind, site, layer, also);
      op.needs.push_back(position);
      op.item = position;
    }
  }

  void AssignReleases() {
    std::vector<bool> released(stream_.size(), false);
    for (auto op = ops_.rbegin(); op != ops_.rend(); ++op) {
      for (int position : op->needs) {
        if (released[position]) continue;
        released[position] = true;
        op->releases.push_back(position);
      }
    }
    WS_CHECK(std::find(released.begin(), released.end(), false) == released.end());
  }

 private:
  const ParameterTable& table_;
  std::vector<int>& stream_;
  std::vector<Op>& ops_;
};

// The ops of a layer's forward from its input to `last`, the projection it ends with.
void WriteLayer(PassWriter& pass, int layer, const LayerPositions& at, int last) {
  auto project = [&](int p) {
    pass.AddPerTile(OpKind::kMatmul, kProjections[p].site, layer, at.matrix[p], at.bias[p]);
  };
  pass.Add(OpKind::kNorm, Site::kNorm1, layer, at.norm1);
  project(kQkv);
  pass.Add(OpKind::kAttention, Site::kNone, layer);
  project(kOut);
  pass.Add(OpKind::kNorm, Site::kNorm2, layer, at.norm2);
  project(kUp);
  pass.Add(OpKind::kGelu, Site::kNone, layer);
  if (last == kDown) project(kDown);
}

std::string HeadName(const ModelSpec& model) {
  return model.tied() ? "wte.weight" : "lm_head.weight";
}

LayerPositions StreamForward(PassWriter& pass, int layer) {
  LayerPositions at;
  auto project = [&](int p) {
    const std::string name = LayerName(layer, kProjections[p].name);
    pass.Stream(name + ".bias", at.bias[p]);
    pass.Stream(name + ".weight", at.matrix[p]);
  };
  pass.Stream(LayerName(layer, "ln_1.weight"), at.norm1);
  pass.Stream(LayerName(layer, "ln_1.bias"), at.norm1);
  project(kQkv);
  project(kOut);
  pass.Stream(LayerName(layer, "ln_2.weight"), at.norm2);
  pass.Stream(LayerName(layer, "ln_2.bias"), at.norm2);
  project(kUp);
  project(kDown);
  return at;
}

void WriteForward(const ModelSpec& model, const ParameterTable& table, Program& program) {
  PassWriter pass(table, program.forward_stream, program.forward);
  std::vector<int> tokens, positions, final_norm, head;
  pass.Stream("wte.weight", tokens);
  pass.Stream("wpe.weight", positions);
  pass.AddPerTile(OpKind::kEmbedTokens, Site::kNone, -1, tokens);
  pass.AddPerTile(OpKind::kEmbedPositions, Site::kNone, -1, positions);
  for (int layer = 0; layer < static_cast<int>(model.layers()); ++layer) {
    WriteLayer(pass, layer, StreamForward(pass, layer), kDown);
  }
  pass.Stream("ln_f.weight", final_norm);
  pass.Stream("ln_f.bias", final_norm);
  pass.Stream(HeadName(model), head);
  pass.Add(OpKind::kNorm, Site::kFinalNorm, -1, final_norm);
  pass.AddPerTile(OpKind::kLogits, Site::kHead, -1, head);
  pass.AssignReleases();
  program.generate = program.forward;
  program.forward.push_back(MakeOp(OpKind::kLoss, Site::kHead, -1));
  program.generate.push_back(MakeOp(OpKind::kPickToken, Site::kHead, -1));
}

class BackwardWriter {
 public:
  BackwardWriter(const ModelSpec& model, const ParameterTable& table, Recompute recompute,
                 Program& program)
      : model_(model),
        table_(table),
        recompute_(recompute),
        program_(program),
        pass_(table, program.backward_stream, program.backward) {}

  void Write() {
    WriteHead();
    for (int layer = static_cast<int>(model_.layers()) - 1; layer >= 0; --layer) {
      const LayerPositions at = Stream(layer);
      if (recompute_ == RECOMPUTE_FULL) WriteLayer(pass_, layer, at, kUp);
      WriteMlp(layer, at);
      WriteAttention(layer, at);
    }
    WriteEmbedding(OpKind::kEmbedPositionsBackward, "wpe.weight", 0);
    WriteEmbedding(OpKind::kEmbedTokensBackward, "wte.weight", model_.tied() ? 1 : 0);
    pass_.AssignReleases();
  }

 private:
  bool Selective() const { return recompute_ == RECOMPUTE_SELECTIVE; }

  void Emit(Op& op, const std::string& name, int tile = 0, int contribution = 0) {
    op.gradients.push_back(static_cast<int>(program_.gradient_stream.size()));
    program_.gradient_stream.push_back({table_.Find(name).first_tile + tile, contribution});
  }

  // The parameters that the layer's backward needs: of the vectors, a gradient never needs a bias,
  // but recomputation does.
  LayerPositions Stream(int layer) {
    LayerPositions at;
    const bool full = recompute_ == RECOMPUTE_FULL;
    auto norm = [&](const char* name, std::vector<int>& positions) {
      pass_.Stream(LayerName(layer, name) + ".weight", positions);
      if (recompute_ != RECOMPUTE_NONE) pass_.Stream(LayerName(layer, name) + ".bias", positions);
    };
    norm("ln_1", at.norm1);
    norm("ln_2", at.norm2);
    for (int p = kQkv; full && p <= kUp; ++p) {
      pass_.Stream(LayerName(layer, kProjections[p].name) + ".bias", at.bias[p]);
    }
    for (int i = 0; i < kProjectionCount; ++i) {
      const int p = full ? i : kProjectionCount - 1 - i;
      pass_.Stream(LayerName(layer, kProjections[p].name) + ".weight", at.matrix[p]);
    }
    return at;
  }

  void WriteHead() {
    std::vector<int> head, gain;
    pass_.Stream(HeadName(model_), head);
    pass_.Stream("ln_f.weight", gain);
    for (size_t i = 0; i < head.size(); ++i) {
      pass_.AddPerTile(OpKind::kLogitsBackward, Site::kHead, -1, {head[i]});
      Emit(program_.backward.back(), HeadName(model_), static_cast<int>(i));
    }
    WriteNorm(Site::kFinalNorm, -1, "ln_f", gain);
  }

  void WriteNorm(Site site, int layer, const std::string& name, const std::vector<int>& gain) {
    Op& op = pass_.Add(OpKind::kNormBackward, site, layer, {gain[0]});
    Emit(op, name + ".weight");
    Emit(op, name + ".bias");
  }

  void WriteProjection(int layer, int p, const LayerPositions& at) {
    const std::string name = LayerName(layer, kProjections[p].name);
    for (size_t i = 0; i < at.matrix[p].size(); ++i) {
      pass_.AddPerTile(OpKind::kMatmulBackward, kProjections[p].site, layer, {at.matrix[p][i]});
      Emit(program_.backward.back(), name + ".weight", static_cast<int>(i));
    }
    Emit(program_.backward.back(), name + ".bias");
  }

  void WriteMlp(int layer, const LayerPositions& at) {
    if (Selective()) pass_.Add(OpKind::kGelu, Site::kNone, layer);
    WriteProjection(layer, kDown, at);
    pass_.Add(OpKind::kGeluBackward, Site::kNone, layer);
    if (Selective()) pass_.Add(OpKind::kNorm, Site::kNorm2, layer, at.norm2);
    WriteProjection(layer, kUp, at);
    WriteNorm(Site::kNorm2, layer, LayerName(layer, "ln_2"), at.norm2);
  }

  void WriteAttention(int layer, const LayerPositions& at) {
    WriteProjection(layer, kOut, at);
    pass_.Add(OpKind::kAttentionBackward, Site::kNone, layer);
    if (Selective()) pass_.Add(OpKind::kNorm, Site::kNorm1, layer, at.norm1);
    WriteProjection(layer, kQkv, at);
    WriteNorm(Site::kNorm1, layer, LayerName(layer, "ln_1"), at.norm1);
  }

  void WriteEmbedding(OpKind kind, const std::string& name, int contribution) {
    for (int i = 0; i < table_.Find(name).tile_count; ++i) {
      Emit(pass_.Add(kind, Site::kNone, -1), name, i, contribution);
    }
  }

  const ModelSpec& model_;
  const ParameterTable& table_;
  const Recompute recompute_;
  Program& program_;
  PassWriter pass_;
};

// Raises `most` to what one pass holds. The tiles of a plane arrive in order, so with the one that
// is needed come all before it.
void CountHeld(const std::vector<Op>& ops, const std::vector<int>& stream,
               const std::vector<Tile>& tiles, std::vector<Credit>& most) {
  std::vector<Credit> held(most.size());
  std::vector<int> arrived(most.size(), 0);  // of each plane, the positions below it
  for (const Op& op : ops) {
    for (int need : op.needs) {
      const int plane = tiles[stream[need]].plane;
      for (int& position = arrived[plane]; position <= need; ++position) {
        const Tile& tile = tiles[stream[position]];
        if (tile.plane != plane) continue;
        const int now = ++held[plane].slots[tile.slot];
        most[plane].slots[tile.slot] = std::max(most[plane].slots[tile.slot], now);
      }
    }
    for (int position : op.releases) {
      const Tile& tile = tiles[stream[position]];
      --held[tile.plane].slots[tile.slot];
    }
  }
}

}  // namespace

Program BuildProgram(const ModelSpec& model, const std::vector<Parameter>& parameters,
                     Recompute recompute) {
  WS_CHECK(recompute != RECOMPUTE_AUTO);
  const ParameterTable table(parameters);
  Program program;
  WriteForward(model, table, program);
  BackwardWriter(model, table, recompute, program).Write();
  return program;
}

std::vector<Credit> SlotsNeeded(const Program& program, const std::vector<Tile>& tiles,
                                int planes) {
  std::vector<Credit> most(planes);
  CountHeld(program.forward, program.forward_stream, tiles, most);
  CountHeld(program.backward, program.backward_stream, tiles, most);
  return most;
}

}  // namespace waferstream
