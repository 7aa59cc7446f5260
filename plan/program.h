// What a wafer computes in one wave, op by op, and so the order in which weights stream to it and
// gradients leave it. The same program for every wafer and every wave. It follows from the model's
// graph:
//
//   forward    the nodes in order. A node's vectors (bias, gain) are streamed before its matrix,
//              of which every tile is an op.
//   backward   the nodes from last to first, by one rule a kind (backward.cc). A value that
//   backward
//              needs and that was not kept is computed again just before, by the nodes that made
//              it. An embedding's gradient takes no weights, so none are streamed.
//
// What is streamed is needed by the op that comes next, so a window of a few tiles suffices.
// Vectors stay until the layer's last op that needs them. A matrix that a layer needs twice, to
// compute values again and for their deltas, stays ("room for one layer"), or is streamed twice, as
// the policy says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/credit.h"
#include "base/dtype.h"
#include "plan/graph.h"
#include "plan/model.h"
#include "proto/job.pb.h"

namespace waferstream {

// Which values are kept from forward to backward, and what becomes of weights that computing the
// others again takes. Results do not depend on it.
struct KeepPolicy {
  Recompute recompute = RECOMPUTE_NONE;  // resolved: none, what is cheap, all within a layer
  bool holds_weights = true;             // of a layer; false: they are streamed again
  bool keeps_logits = false;             // the head's; false: backward makes them again
  friend bool operator==(const KeepPolicy&, const KeepPolicy&) = default;
};

// One array that lives in the SRAM for a while: an activation, its gradient, or room for something
// between. Of every resident micro-batch there is one.
struct Value {
  std::string name;
  int layer = -1;
  int64_t width = 0;      // elements of a row
  bool per_token = true;  // a row for every token; else one row
  Dtype dtype = Dtype::kF32;
  int storage = 0;  // the value whose bytes it has: its own, or one that it takes the place of
};

// A node of the graph, or its backward, at one place of a pass. By what `reads` and `writes` mean
// of a kind the wafer computes it (wafer_node/ops); both are in Program::values.
struct Operation {
  OpKind kind = OpKind::kMatmul;
  bool backward = false;
  int node = -1;  // of the graph; -1: kAdd, and kConvert of a gradient
  std::vector<int> reads = {};
  std::vector<int> writes = {};
};

// An operation, or one tile's part of it.
struct Op {
  int operation = 0;  // in Program::operations
  // Whether it adds to what the operation's first value holds already, rather than setting it.
  bool accumulate = false;
  int item = -1;               // position in the pass's stream of the tile it works on; -1: none
  std::vector<int> needs;      // positions in the pass's stream that must be here: the node's
                               // vectors, as far as it needs them, and then `item`
  std::vector<int> releases;   // positions whose receive slot is free once this op is done
  std::vector<int> gradients;  // positions in the gradient stream that it makes, in order
};

struct Program {
  std::vector<Value> values;
  std::vector<Operation> operations;
  std::vector<Op> forward;  // of a training or a validation wave; ends in the loss
  std::vector<Op> backward;
  std::vector<Op> generate;         // the forward ops, but ends in a token
  std::vector<int> forward_stream;  // tile indices
  std::vector<int> backward_stream;
  // The contributions of a parameter are numbered as backward makes them: of tied embeddings, 0 is
  // the output projection's and 1 the embedding's.
  std::vector<GradientItem> gradient_stream;

  const Operation& Of(const Op& op) const { return operations[op.operation]; }
};

// `parameters` are the model's, cut into tiles; `compute` is the dtype of products.
Program BuildProgram(const Graph& graph, const std::vector<Parameter>& parameters, Dtype compute,
                     const KeepPolicy& policy);

// The receive slots that a wafer must have on each plane to run the program at all: the most tiles
// that have arrived and are not yet released when an op starts. What a window has beyond it is
// read-ahead.
std::vector<Credit> SlotsNeeded(const Program& program, const std::vector<Tile>& tiles, int planes);

}  // namespace waferstream
