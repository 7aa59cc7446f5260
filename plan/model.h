// What a model is made of: its parameter tensors, and how they are cut into tiles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/credit.h"
#include "proto/job.pb.h"

namespace waferstream {

// One parameter tensor, in the order of the model graph. Inside the system a matrix is
// [rows = output features, cols = input features], row-major; a vector is [rows, 1].
struct Parameter {
  std::string name;    // of Hugging Face's base model, e.g. "h.0.attn.c_attn.weight"
  std::string prefix;  // before it in the files of a whole model, e.g. "transformer."
  int64_t rows = 0;
  int64_t cols = 0;
  // Each says one thing; the makers of GraphBuilder set those that go together.
  bool two_dimensional = false;  // as files shape it; a vector has one dimension there
  bool decayed = false;          // the optimizer's weight decay is for it
  bool trained = true;           // false: no gradient is made, no state is kept, it stays as it is
  bool one_tile = true;          // false: cut along its rows
  bool adapter = false;          // of low-rank adapters: a checkpoint of the plain model has none
  bool orthogonal = false;       // Muon's own; Muon.rest has the others
  bool transposed_in_checkpoint = false;  // Conv1D: stored as [cols, rows] in files
  double init_std = 0;                    // normal(0, init_std), or, when 0,
  double init_value = 0;                  // this constant
  int cut_like = -1;  // the matrix with whose tiles it is cut; -1: by its own size
  // Gradients that a micro-batch makes: 2 for tied embeddings, 0 of what is not trained.
  int contributions = 1;
  int first_tile = 0;
  int tile_count = 0;
};

// Rows [first_row, first_row + rows) of one parameter: contiguous.
struct Tile {
  int parameter = 0;
  int index = 0;  // among the parameter's tiles
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t elements = 0;
  int shard = 0;  // what MemoryX processes own (Plan::shape.shards)
  int plane = 0;
  SlotClass slot = kLarge;
};

// A gradient that every micro-batch makes: contribution c of a tile. Contributions of one tile are
// summed over the micro-batches apart and then added in the order of c.
struct GradientItem {
  int tile = 0;
  int contribution = 0;
};

// A model with what it leaves to the defaults of its family filled in.
ModelSpec WithDefaults(ModelSpec model);

// How many of a head's columns are turned by their position, of a model with its defaults: Hugging
// Face rounds its share down too.
int64_t TurnedColumns(const ModelSpec& model);

// The parameters of a model (plan/graph.h), tile fields not yet set.
// INVALID_ARGUMENT: an impossible shape, naming the field.
absl::StatusOr<std::vector<Parameter>> BuildParameters(const ModelSpec& model);

// Cuts every parameter that is not one tile along its rows, into tiles of at most `tile_elements`
// (at least one row each), and sets first_tile and tile_count. The tiles of a parameter are of
// nearly equal size, none larger than its first. Shard and plane are not yet set.
std::vector<Tile> CutTiles(std::vector<Parameter>& parameters, uint64_t tile_elements);

}  // namespace waferstream
