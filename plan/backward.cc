// The backward of a graph: its nodes from last to first, by one rule a kind.
//
// A rule says what the kind's backward reads (values of its forward, and the gradient of what it
// wrote) and writes (gradients of what it read), and which parameters' gradients it makes. The rest
// is the same for all: a value that is not there is computed again; the first gradient of a value
// sets it, further ones add to it; a residual's gradient is that of the sum, and takes its bytes.
#include <algorithm>
#include <utility>

#include "base/status.h"
#include "plan/pass_writer.h"

namespace waferstream {
namespace {

// What costs little to compute again: no product of matrices.
bool IsCheap(OpKind kind) {
  switch (kind) {
    case OpKind::kLayerNorm:
    case OpKind::kRmsNorm:
    case OpKind::kGelu:
    case OpKind::kSiluGated:
    case OpKind::kConvert:
    case OpKind::kRoute:
    case OpKind::kDispatch:
    case OpKind::kScale:
      return true;
    default:
      return false;
  }
}

bool Keeps(const Graph& graph, const GraphValue& value, Recompute recompute) {
  if (value.kept || recompute == RECOMPUTE_NONE) return true;
  return recompute == RECOMPUTE_SELECTIVE && !IsCheap(graph.nodes[value.producer].kind);
}

class BackwardWriter {
 public:
  BackwardWriter(const Graph& graph, const std::vector<Parameter>& parameters, Dtype compute,
                 const KeepPolicy& policy, const std::vector<int>& values, Program& program)
      : graph_(graph),
        policy_(policy),
        program_(program),
        pass_(graph, parameters, compute, program.backward_stream, program.backward, program),
        values_(values),
        gradients_(graph.values.size()),
        contributions_(parameters.size(), 0) {
    for (size_t v = 0; v < values_.size(); ++v) {
      if (!Keeps(graph, graph.values[v], policy.recompute)) values_[v] = -1;
    }
    FindNeeded();
  }

  void Write() {
    int layer = -1;
    for (int n = static_cast<int>(graph_.nodes.size()) - 1; n >= 0; --n) {
      if (graph_.nodes[n].layer != layer) pass_.ForgetAll();
      layer = graph_.nodes[n].layer;
      WriteNode(n);
    }
    pass_.AssignReleases();
  }

 private:
  // Of a value of the graph, in the program. `copy`: the same as products take it, while it is
  // that.
  struct Gradient {
    int value = -1;
    int copy = -1;
  };

  // A gradient is made of what something trained comes before.
  void FindNeeded() {
    needed_.resize(graph_.values.size());
    for (const GraphNode& node : graph_.nodes) {
      const auto trained = [&](int p) { return pass_.parameter(p).trained; };
      const auto needed = [&](int v) { return needed_[v]; };
      const bool needs = std::any_of(node.vectors.begin(), node.vectors.end(), trained) ||
                         std::any_of(node.matrices.begin(), node.matrices.end(), trained) ||
                         std::any_of(node.reads.begin(), node.reads.end(), needed);
      for (const int v : node.writes) needed_[v] = needs;
    }
  }

  void WriteNode(int n) {
    const GraphNode& node = graph_.nodes[n];
    if (!needed_[node.writes[0]]) return;
    switch (node.kind) {
      case OpKind::kLoss:
        return;  // the gradient of the logits is made from the loss's own values
      case OpKind::kLogits:
        return WriteLogits(n);
      case OpKind::kLayerNorm:
      case OpKind::kRmsNorm:
        return WriteNorm(n);
      case OpKind::kMatmul:
        return WriteMatmul(n);
      case OpKind::kGelu:
      case OpKind::kSiluGated:
        return WriteActivation(n);
      case OpKind::kRotary:
        return WriteRotary(n);
      case OpKind::kAttention:
        return WriteAttention(n);
      case OpKind::kRoute:
        return WriteRoute(n);
      case OpKind::kDispatch:
        return WriteDispatch(n);
      case OpKind::kExpertMatmul:
        return WriteExpertMatmul(n);
      case OpKind::kCombine:
        return WriteCombine(n);
      case OpKind::kScale:
        return WriteScale(n);
      case OpKind::kEmbedTokens:
      case OpKind::kEmbedPositions:
        return WriteEmbedding(n);
      case OpKind::kConvert:
        return PassThrough(node.writes[0], node.reads[0]);
      case OpKind::kPickToken:
      case OpKind::kAdd:
      case OpKind::kCount:
        break;
    }
    WS_CHECK(false && "not a kind of a graph's node");
  }

  // ---- what rules are made of ------------------------------------------------------------------

  // The value, computed again if it was not kept.
  int Materialize(int v) {
    if (values_[v] >= 0) return values_[v];
    const int producer = graph_.values[v].producer;
    for (const int read : graph_.nodes[producer].reads) Materialize(read);
    pass_.WriteForward(producer, values_);
    const GraphNode& node = graph_.nodes[producer];
    if (!policy_.holds_weights) {
      for (const int matrix : node.matrices) pass_.Forget(matrix);
    }
    return values_[v];
  }

  int NewGradient(int v, Dtype dtype) {
    const GraphValue& value = graph_.values[v];
    return pass_.NewValue({.name = value.name + " delta",
                           .layer = value.layer,
                           .width = value.width,
                           .dtype = dtype});
  }

  // The gradient of what a node wrote, complete by now.
  int GradientOf(int v) const {
    WS_CHECK(gradients_[v].value >= 0);
    return gradients_[v].value;
  }

  // The same as products take it.
  int Operand(int v) {
    Gradient& gradient = gradients_[v];
    const int value = GradientOf(v);
    if (program_.values[value].dtype == pass_.compute()) return value;
    if (gradient.copy < 0) {
      gradient.copy = NewGradient(v, pass_.compute());
      pass_.Begin({.kind = OpKind::kConvert, .reads = {value}, .writes = {gradient.copy}});
      pass_.Add();
    }
    return gradient.copy;
  }

  // Where a gradient in fp32 goes that a node makes for what it read.
  struct Target {
    int value;
    bool adds;  // to what is there
  };
  Target AddTo(int v) {
    Gradient& gradient = gradients_[v];
    gradient.copy = -1;
    if (gradient.value >= 0) return {gradient.value, true};
    gradient.value = NewGradient(v, Dtype::kF32);
    return {gradient.value, false};
  }

  // The only gradient of a value, as products take it.
  Target SetFor(int v) {
    WS_CHECK(gradients_[v].value < 0);
    gradients_[v].value = NewGradient(v, pass_.compute());
    return {gradients_[v].value, false};
  }

  // What is added to a result has the result's gradient.
  void PassThrough(int from, int to) {
    if (!needed_[to]) return;
    const int value = GradientOf(from);
    if (gradients_[to].value < 0) {
      gradients_[to] = gradients_[from];
      return;
    }
    const Target sum = AddTo(to);
    pass_.Begin({.kind = OpKind::kAdd, .reads = {value}, .writes = {sum.value}});
    pass_.Add({}, /*accumulate=*/true);
  }

  // Of what is not trained there is no gradient.
  void Emit(Op& op, int parameter, int tile = 0) {
    if (!pass_.parameter(parameter).trained) return;
    op.gradients.push_back(static_cast<int>(program_.gradient_stream.size()));
    program_.gradient_stream.push_back(
        {pass_.parameter(parameter).first_tile + tile, contributions_[parameter]});
  }
  void Finish(int parameter) { ++contributions_[parameter]; }

  // An op for every tile of the node's matrix, each of which makes the tile's gradient, and those
  // of the vectors' tiles that go with it; of a vector that is one tile, the last op. `needed`: the
  // vectors that backward needs.
  void AddPerTile(const GraphNode& node, bool adds, const std::vector<int>& needed = {}) {
    for (const int matrix : node.matrices) AddPerTile(node, matrix, adds, needed);
    for (const int vector : node.vectors) Finish(vector);
  }
  void AddPerTile(const GraphNode& node, int matrix, bool adds, const std::vector<int>& needed) {
    const size_t first = program_.backward.size();
    pass_.AddPerTile(matrix, needed, adds);
    const int tiles = static_cast<int>(program_.backward.size() - first);
    for (int i = 0; i < tiles; ++i) {
      Op& op = program_.backward[first + i];
      Emit(op, matrix, i);
      for (const int vector : node.vectors) {
        const bool sliced = !pass_.parameter(vector).one_tile;
        if (sliced || i + 1 == tiles) Emit(op, vector, sliced ? i : 0);
      }
    }
    Finish(matrix);
  }

  // ---- rules -----------------------------------------------------------------------------------

  void WriteLogits(int n) {
    const GraphNode& node = graph_.nodes[n];
    const GraphNode& loss = graph_.nodes[n + 1];
    const int input = Materialize(node.reads[0]);
    const Target delta = AddTo(node.reads[0]);
    pass_.Begin({.kind = node.kind,
                 .backward = true,
                 .node = n,
                 .reads = {input, values_[loss.writes[0]]},
                 .writes = {delta.value}});
    AddPerTile(node, delta.adds, node.vectors);  // it may make the logits again
  }

  // reads: input, gradient of the output; writes: gradient of the input, which products take if the
  // input is no residual, and room for those of the vectors.
  void WriteNorm(int n) {
    const GraphNode& node = graph_.nodes[n];
    const int input = Materialize(node.reads[0]);
    const int output_delta = GradientOf(node.writes[0]);
    const bool residual = graph_.values[node.reads[0]].type == ElementType::kF32;
    const Target delta = residual ? AddTo(node.reads[0]) : SetFor(node.reads[0]);
    int64_t width = 0;
    for (const int vector : node.vectors) width += pass_.parameter(vector).rows;
    const int room = pass_.NewValue(
        {.name = "norm gradients", .layer = node.layer, .width = width, .per_token = false});
    pass_.Begin({.kind = node.kind,
                 .backward = true,
                 .node = n,
                 .reads = {input, output_delta},
                 .writes = {delta.value, room}});
    Op& op = pass_.Add(pass_.Stream(node.vectors[0]), delta.adds);
    for (const int vector : node.vectors) {
      Emit(op, vector);
      Finish(vector);
    }
    if (node.reads.size() > 1) PassThrough(node.writes[0], node.reads[1]);
  }

  // reads: input, gradient of the output; writes: gradient of the input.
  void WriteMatmul(int n) {
    const GraphNode& node = graph_.nodes[n];
    const int input = Materialize(node.reads[0]);
    const int output_delta = Operand(node.writes[0]);
    const Target delta = AddTo(node.reads[0]);
    pass_.Begin({.kind = node.kind,
                 .backward = true,
                 .node = n,
                 .reads = {input, output_delta},
                 .writes = {delta.value}});
    AddPerTile(node, delta.adds);
    if (node.reads.size() > 1) PassThrough(node.writes[0], node.reads[1]);
  }

  // Elementwise. reads: inputs, gradient of the output; writes: gradients of the inputs, in their
  // place: nobody reads them any more.
  void WriteActivation(int n) {
    const GraphNode& node = graph_.nodes[n];
    Operation operation{.kind = node.kind, .backward = true, .node = n};
    for (const int read : node.reads) {
      operation.reads.push_back(Materialize(read));
      WS_CHECK(gradients_[read].value < 0);
      const int value = NewGradient(read, pass_.compute());
      program_.values[value].storage = program_.values[values_[read]].storage;
      gradients_[read].value = value;
      operation.writes.push_back(value);
    }
    operation.reads.push_back(GradientOf(node.writes[0]));
    pass_.Begin(std::move(operation));
    pass_.Add();
    for (const int read : node.reads) values_[read] = -1;
  }

  // reads: q, k and v, log-sum-exp, gradient of the output; writes: gradients of q, k and v.
  void WriteAttention(int n) {
    const GraphNode& node = graph_.nodes[n];
    Operation operation{.kind = node.kind, .backward = true, .node = n};
    for (const int read : node.reads) operation.reads.push_back(Materialize(read));
    operation.reads.push_back(Materialize(node.writes[1]));
    operation.reads.push_back(Operand(node.writes[0]));
    for (const int read : node.reads) {
      operation.writes.push_back(SetFor(read).value);
    }
    pass_.Begin(std::move(operation));
    pass_.Add();
  }

  // reads: logits, choices, gradient of the weights, balance (if there is one); writes: gradient of
  // the logits.
  void WriteRoute(int n) {
    const GraphNode& node = graph_.nodes[n];
    const GraphNode& loss = graph_.nodes.back();
    Operation operation{.kind = node.kind,
                        .backward = true,
                        .node = n,
                        .reads = {Materialize(node.reads[0]), Materialize(node.writes[1]),
                                  GradientOf(node.writes[0])},
                        .writes = {AddTo(node.reads[0]).value}};
    if (loss.attributes.aux_loss != 0) operation.reads.push_back(values_[loss.writes.back()]);
    pass_.Begin(std::move(operation));
    pass_.Add();
  }

  // reads: choices, gradient of the copies; writes: gradient of the input.
  void WriteDispatch(int n) {
    const GraphNode& node = graph_.nodes[n];
    const int choices = Materialize(node.reads[1]);
    const int output_delta = GradientOf(node.writes[0]);
    const Target delta = AddTo(node.reads[0]);
    pass_.Begin({.kind = node.kind,
                 .backward = true,
                 .node = n,
                 .reads = {choices, output_delta},
                 .writes = {delta.value}});
    pass_.Add({}, delta.adds);
  }

  // reads: copies, ends, gradient of the output; writes: gradient of the copies.
  void WriteExpertMatmul(int n) {
    const GraphNode& node = graph_.nodes[n];
    const int copies = Materialize(node.reads[0]), ends = Materialize(node.reads[1]);
    const int output_delta = Operand(node.writes[0]);
    const Target delta = AddTo(node.reads[0]);
    pass_.Begin({.kind = node.kind,
                 .backward = true,
                 .node = n,
                 .reads = {copies, ends, output_delta},
                 .writes = {delta.value}});
    AddPerTile(node, delta.adds);
  }

  // reads: copies, weights, choices, gradient of the output; writes: gradients of copies and
  // weights.
  void WriteCombine(int n) {
    const GraphNode& node = graph_.nodes[n];
    Operation operation{.kind = node.kind, .backward = true, .node = n};
    for (const int i : {0, 1, 2}) operation.reads.push_back(Materialize(node.reads[i]));
    operation.reads.push_back(GradientOf(node.writes[0]));
    operation.writes = {SetFor(node.reads[0]).value, AddTo(node.reads[1]).value};
    pass_.Begin(std::move(operation));
    pass_.Add();
    PassThrough(node.writes[0], node.reads[3]);
  }

  // reads: gradient of the output; writes: gradient of the input.
  void WriteScale(int n) {
    const GraphNode& node = graph_.nodes[n];
    const int output_delta = GradientOf(node.writes[0]);
    const Target delta = AddTo(node.reads[0]);
    pass_.Begin({.kind = node.kind,
                 .backward = true,
                 .node = n,
                 .reads = {output_delta},
                 .writes = {delta.value}});
    pass_.Add({}, delta.adds);
    if (node.reads.size() > 1) PassThrough(node.writes[0], node.reads[1]);
  }

  // Turns the gradients back, in place.
  void WriteRotary(int n) {
    const GraphNode& node = graph_.nodes[n];
    Operation operation{.kind = node.kind, .backward = true, .node = n};
    for (size_t i = 0; i < node.reads.size(); ++i) {
      const int output_delta = GradientOf(node.writes[i]);
      WS_CHECK(gradients_[node.reads[i]].value < 0);
      const int delta = NewGradient(node.reads[i], program_.values[output_delta].dtype);
      program_.values[delta].storage = program_.values[output_delta].storage;
      gradients_[node.reads[i]].value = delta;
      operation.reads.push_back(output_delta);
      operation.writes.push_back(delta);
    }
    pass_.Begin(std::move(operation));
    pass_.Add();
  }

  // reads: gradient of the output. No weights: nothing is streamed. The table's gradient is all
  // that there is to make.
  void WriteEmbedding(int n) {
    const GraphNode& node = graph_.nodes[n];
    const Parameter& table = pass_.parameter(node.matrices[0]);
    if (table.trained) {
      pass_.Begin(
          {.kind = node.kind, .backward = true, .node = n, .reads = {GradientOf(node.writes[0])}});
      for (int i = 0; i < table.tile_count; ++i) Emit(pass_.Add(), node.matrices[0], i);
      Finish(node.matrices[0]);
    }
    for (const int read : node.reads) PassThrough(node.writes[0], read);
  }

  const Graph& graph_;
  const KeepPolicy& policy_;
  Program& program_;
  PassWriter pass_;
  std::vector<int> values_;          // by value of the graph; -1: not there
  std::vector<bool> needed_;         // by value of the graph: its gradient
  std::vector<Gradient> gradients_;  // the same
  std::vector<int> contributions_;   // of every parameter, so far
};

}  // namespace

void WriteBackward(const Graph& graph, const std::vector<Parameter>& parameters, Dtype compute,
                   const KeepPolicy& policy, const std::vector<int>& values, Program& program) {
  BackwardWriter(graph, parameters, compute, policy, values, program).Write();
}

}  // namespace waferstream
