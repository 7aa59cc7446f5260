// A model as a graph of values and operations. A family (families/) writes it; all that a job needs
// to know of a model follows from it by rules that know no family: parameters and tiles, streams,
// backward and recomputation (program.h), SRAM (sram.h), costs.
//
// Nodes are in the order in which forward runs them. A value has one row for every token of a
// micro-batch.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "plan/model.h"
#include "proto/job.pb.h"

namespace waferstream {

enum class OpKind : uint8_t {
  // Of graphs. What each reads, writes and takes: the makers of GraphBuilder.
  kEmbedTokens,
  kEmbedPositions,
  kLayerNorm,
  kRmsNorm,
  kMatmul,
  kGelu,
  kSiluGated,
  kRotary,
  kAttention,
  kLogits,   // one vocabulary tile: online log-sum-exp and target logit
  kLoss,     // after the last vocabulary tile: the loss of every micro-batch
  kConvert,  // a copy of an fp32 value in the compute dtype, for products
  // Of programs alone.
  kPickToken,  // generation, in the place of the loss
  kAdd,        // one fp32 value to another
  // Of graphs with mixtures of experts. The order of all kinds is part of the plan's hash.
  kRoute,         // which experts a token goes to, and what each weighs
  kDispatch,      // a copy of every token for each of its experts, expert by expert
  kExpertMatmul,  // a product of every expert with the copies that it was given
  kCombine,       // what a token's experts made, weighed and added
  // Of graphs with adapters or dropout.
  kScale,  // a value times a factor, of which some elements are dropped in training
  kCount,
};

// The online log-sum-exp keeps so many floats of a row (wafer_node/kernels/loss.h).
inline constexpr int64_t kRowLossFloats = 3;
inline constexpr int64_t kSmoothedRowLossFloats = 4;

// fp32, or what products take: Plan::wire, or int32, which lies where an fp32 would.
enum class ElementType : uint8_t { kF32, kCompute, kIndex };

struct GraphValue {
  std::string name;   // for people: "qkv"
  int layer = -1;     // -1: not in a layer
  int64_t width = 0;  // elements of a row
  ElementType type = ElementType::kCompute;
  bool per_token = true;  // a row for every token; else one row
  int producer = -1;      // node
  // Whether every recomputation keeps it: the input of a layer, and what is outside of layers.
  bool kept = false;
};

// Where the heads of q, k or v are: of which operand, the first head's first column, and how far it
// is from one head to the next.
struct HeadColumns {
  int operand = 0;
  int64_t first = 0;
  int64_t stride = 0;
  int64_t heads = 0;
};

// Angles of rotary positions: position * theta^(-2 i / dims) for pair i, in fp32; stretched as
// Llama 3.1 does if factor is not 0: long waves by the factor, short ones not, those between by a
// mean of both.
struct RotarySpec {
  int64_t dims = 0;  // of a head that are turned
  bool interleaved = false;
  double theta = 10000;
  double factor = 0;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_context = 0;
};
// Of every pair, dims / 2.
std::vector<float> RotaryFrequencies(const RotarySpec& spec);

// What a kind needs to know beside its operands.
struct Attributes {
  double epsilon = 0;      // norms
  int64_t norm_width = 0;  // kRmsNorm: of a group; a row has one or several
  // Attention and rotary: a head has so many columns, and where they are.
  int64_t head_dim = 0;
  HeadColumns q = {};
  HeadColumns k = {};
  HeadColumns v = {};
  int64_t window = 0;  // of keys that a query sees; 0: all before it
  bool exact = false;  // GELU by erf instead of tanh
  RotarySpec rotary = {};
  // kRoute and what follows it, up to kCombine.
  int64_t experts = 0;
  int64_t experts_per_token = 0;
  bool norm_topk = false;  // the weights of a token's experts add up to 1
  double aux_loss = 0;     // kLoss: weight of the loss that balances experts
  // kScale. What is not dropped is divided by the share that is kept, too.
  double factor = 1;
  double drop = 0;  // share that is dropped, in training
  // kLogits, kLoss: what a training's loss has beside the cross-entropy (SetLossTerms).
  double label_smoothing = 0;
  double z_loss = 0;
};

struct GraphNode {
  OpKind kind = OpKind::kMatmul;
  std::string name;  // for people: "h.3.attn"
  int layer = -1;
  std::vector<int> reads;     // values
  std::vector<int> writes;    // values
  std::vector<int> vectors;   // parameters that it needs whole
  std::vector<int> matrices;  // parameters that it takes tile by tile: none, one, or every expert's
  Attributes attributes;
};

struct Graph {
  std::vector<GraphValue> values;
  std::vector<GraphNode> nodes;

  // The node of the output projection.
  const GraphNode& Head() const;
  // The loss of a training: (1 - s) * (lse - logit of the target) + s * (lse - mean of the logits)
  // + z * lse^2. With a smoothing the head keeps the sum of a row's logits, too.
  void SetLossTerms(double label_smoothing, double z_loss);
};

// A model: what a family makes. Parameters are in the order in which they are initialised and
// tiles are dealt; tile fields are not yet set.
struct Model {
  std::vector<Parameter> parameters;
  Graph graph;
};

// INVALID_ARGUMENT: an unknown family, or an impossible shape, naming the field.
absl::StatusOr<Model> BuildModel(const ModelSpec& spec);

// What is added to the loss of a micro-batch: weight * E * sum over experts of (share of tokens
// that have it) * (its mean probability), both over all tokens of all layers: equations 4 to 6 of
// the Switch Transformer (arXiv:2101.03961) as transformers has them.
struct ExpertBalance {
  double weight = 0;
  int64_t experts = 0;
  std::vector<int> loads;  // of every layer
};

// The names of a matrix's adapters: of its module ("h.0.attn.c_attn"), with one of these behind it.
inline constexpr char kAdapterA[] = ".lora_A.weight";
inline constexpr char kAdapterB[] = ".lora_B.weight";
// The module whose weight a parameter is.
std::string ModuleOf(absl::string_view name);

// Writes a model, parameter after parameter and node after node.
class GraphBuilder {
 public:
  // Takes the adapters and the dropout of a model. Every product whose matrix a target names gets
  // adapters, and what is added to a residual is dropped.
  explicit GraphBuilder(const ModelSpec& model) : lora_(model.lora()), dropout_(model.dropout()) {}

  // What parameters have before their names in checkpoints (Parameter::prefix), from here on.
  void SetPrefix(std::string prefix) { prefix_ = std::move(prefix); }

  // What follows belongs to this layer; `input` is kept whatever is recomputed. -1: to none.
  void SetLayer(int layer, int input = -1);

  // [rows = output features, cols = input features]: cut into tiles, decayed.
  int Matrix(std::string name, int64_t rows, int64_t cols, double init_std);
  // The same, stored as [cols, rows] in files (a Conv1D of Hugging Face's GPT-2).
  int TransposedMatrix(std::string name, int64_t rows, int64_t cols, double init_std);
  // One tile, not decayed.
  int Vector(std::string name, int64_t rows, double init_value);
  // With the rows of a matrix, and cut where it is cut: each tile goes with one of the matrix.
  int SlicedVector(std::string name, int matrix, double init_value);

  // Each returns the value that it writes. Residual streams are fp32, all else is for products.
  int EmbedTokens(std::string name, int table, int64_t hidden);
  // In place: nobody else reads `residual`.
  int EmbedPositions(int residual, int table);
  int LayerNorm(std::string name, int input, int gain, int bias, double epsilon);
  // In groups as wide as the gain. Plus a residual, and then the result is one. -1: none.
  int RmsNorm(std::string name, int input, int gain, double epsilon, int residual = -1);
  // A residual stream as products take it, where no norm stands between.
  int Round(std::string name, int residual);
  // input W^T + bias; plus a residual, and then the result is one. -1: no bias, none.
  struct Addends {
    int bias = -1;
    int residual = -1;
    ElementType type = ElementType::kCompute;  // of a result that is no residual
  };
  int Matmul(std::string name, int input, int matrix, const Addends& addends);
  // By tanh, as GPT-2 has it, or exactly, by erf.
  enum GeluFormula { kTanh, kExact };
  int Gelu(std::string name, std::string node, int input, GeluFormula formula = kTanh);
  // silu(gate) * up.
  int SiluGated(std::string name, std::string node, int gate, int up);
  // Turns the heads of q and k in place: nobody else reads `inputs`, which are one or two.
  std::vector<int> Rotary(std::string node, const std::vector<int>& inputs,
                          const Attributes& attributes);
  // Causal, within a sequence. `inputs`: q, k and v, or fewer that have the columns of all.
  int Attention(std::string node, const std::vector<int>& inputs, const Attributes& attributes);
  // Experts of a layer, in the order of these four; E of them, K a token. A token has a copy of
  // what it is for each of its experts; copies stand expert by expert, and in the order of tokens
  // within one: T * K rows, kept as T rows that are K times as wide.
  //
  // Softmax over `logits` [T, E]; the K largest, the first of equal ones.
  struct Routes {
    int weights = -1;  // fp32 [T, K]: the probabilities of the chosen, from the largest on
    int choices = -1;  // int32 [T, 2 K]: the chosen experts, and then where their copies are
    int ends = -1;     // int32 [E]: behind the last copy of each expert
    int load = -1;     // fp32 [2 E]: copies of each, and the sum of its probabilities
    Attributes attributes = {};
  };
  Routes Route(std::string node, int logits, const Attributes& attributes);
  int Dispatch(std::string name, int input, const Routes& routes);
  // copies W^T, with each expert's own matrix.
  int ExpertMatmul(std::string name, int copies, const std::vector<int>& matrices,
                   const Routes& routes);
  // residual + the weighted sum of each token's copies.
  int Combine(std::string name, int copies, const Routes& routes, int residual);

  // What is embedded, without what the model's dropout drops of it.
  int Drop(int residual);

  // Logits and loss; the last two nodes. `bias`: a sliced vector of the matrix; -1: none.
  void Head(int input, int matrix, int bias = -1, const ExpertBalance& balance = {});

  // INVALID_ARGUMENT, one line: a target of the adapters matched no matrix of a product.
  absl::StatusOr<Model> Take();

 private:
  int AddValue(std::string name, int64_t width, ElementType type);
  // One row of a micro-batch.
  int AddRow(std::string name, int64_t width, ElementType type);
  GraphNode& AddNode(OpKind kind, std::string name);
  int64_t WidthOf(int value) const { return model_.graph.values[value].width; }
  // Makes the last node the producer of a value.
  int Write(int value);
  std::string NameOfMatrix(int matrix) const { return model_.parameters[matrix].name; }

  // A value times a factor, some of it dropped in training; plus a residual, and then the result is
  // one. -1: none.
  int Scale(std::string name, int input, double factor, double drop, int residual = -1);
  // Matmul, without what the model's settings add to it.
  int Product(std::string name, int input, int matrix, const Addends& addends);
  int Adapted(std::string name, int input, int matrix, const Addends& addends);
  bool IsTarget(int matrix);
  // `output` plus what the adapters of a matrix make of its input.
  int Adapt(int input, int matrix, int output);

  Model model_;
  int layer_ = -1;
  std::string prefix_;
  const Lora lora_;
  const double dropout_;
  std::set<std::string> matched_targets_;
};

}  // namespace waferstream
