#include "plan/graph.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/name_pattern.h"
#include "base/status.h"

namespace waferstream {
namespace {

// The name of a product's matrix, as an example.
std::string FirstMatmul(const Model& model) {
  for (const GraphNode& node : model.graph.nodes) {
    if (node.kind == OpKind::kMatmul) return model.parameters[node.matrices[0]].name;
  }
  return "none";
}

}  // namespace

std::string ModuleOf(absl::string_view name) {
  return std::string(absl::StripSuffix(name, ".weight"));
}

const GraphNode& Graph::Head() const {
  const GraphNode& head = nodes[nodes.size() - 2];
  WS_CHECK(head.kind == OpKind::kLogits);
  return head;
}

void Graph::SetLossTerms(double label_smoothing, double z_loss) {
  for (size_t i = nodes.size() - 2; i < nodes.size(); ++i) {
    nodes[i].attributes.label_smoothing = label_smoothing;
    nodes[i].attributes.z_loss = z_loss;
  }
  values[Head().writes[0]].width = label_smoothing > 0 ? kSmoothedRowLossFloats : kRowLossFloats;
}

void GraphBuilder::SetLayer(int layer, int input) {
  layer_ = layer;
  if (input >= 0) model_.graph.values[input].kept = true;
}

int GraphBuilder::Matrix(std::string name, int64_t rows, int64_t cols, double init_std) {
  Parameter& p = model_.parameters.emplace_back();
  p.prefix = prefix_;
  p.name = std::move(name);
  p.rows = rows;
  p.cols = cols;
  p.two_dimensional = true;
  p.decayed = true;
  p.one_tile = false;
  p.init_std = init_std;
  return static_cast<int>(model_.parameters.size()) - 1;
}

int GraphBuilder::TransposedMatrix(std::string name, int64_t rows, int64_t cols, double init_std) {
  const int matrix = Matrix(std::move(name), rows, cols, init_std);
  model_.parameters[matrix].transposed_in_checkpoint = true;
  return matrix;
}

int GraphBuilder::Vector(std::string name, int64_t rows, double init_value) {
  Parameter& p = model_.parameters.emplace_back();
  p.prefix = prefix_;
  p.name = std::move(name);
  p.rows = rows;
  p.cols = 1;
  p.init_value = init_value;
  return static_cast<int>(model_.parameters.size()) - 1;
}

int GraphBuilder::SlicedVector(std::string name, int matrix, double init_value) {
  const int vector = Vector(std::move(name), model_.parameters[matrix].rows, init_value);
  model_.parameters[vector].one_tile = false;
  model_.parameters[vector].cut_like = matrix;
  return vector;
}

int GraphBuilder::AddValue(std::string name, int64_t width, ElementType type) {
  GraphValue& value = model_.graph.values.emplace_back();
  value.name = std::move(name);
  value.layer = layer_;
  value.width = width;
  value.type = type;
  value.kept = layer_ < 0;
  return static_cast<int>(model_.graph.values.size()) - 1;
}

int GraphBuilder::AddRow(std::string name, int64_t width, ElementType type) {
  const int value = AddValue(std::move(name), width, type);
  model_.graph.values[value].per_token = false;
  return value;
}

std::vector<float> RotaryFrequencies(const RotarySpec& spec) {
  constexpr double kTurn = 2 * std::numbers::pi;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < spec.dims / 2; ++i) {
    const double exponent = 2.0 * i / spec.dims;
    const float plain = static_cast<float>(1 / std::pow(spec.theta, exponent));
    if (spec.factor == 0) {
      frequencies.push_back(plain);
      continue;
    }
    // How often the wave fits into the context that the model was trained with first.
    const double turns = spec.original_context * plain / kTurn;
    const double share = std::clamp(
        (turns - spec.low_freq_factor) / (spec.high_freq_factor - spec.low_freq_factor), 0.0, 1.0);
    frequencies.push_back(static_cast<float>((1 - share) * plain / spec.factor + share * plain));
  }
  return frequencies;
}

GraphNode& GraphBuilder::AddNode(OpKind kind, std::string name) {
  GraphNode& node = model_.graph.nodes.emplace_back();
  node.kind = kind;
  node.name = std::move(name);
  node.layer = layer_;
  return node;
}

int GraphBuilder::Write(int value) {
  model_.graph.nodes.back().writes.push_back(value);
  model_.graph.values[value].producer = static_cast<int>(model_.graph.nodes.size()) - 1;
  return value;
}

int GraphBuilder::EmbedTokens(std::string name, int table, int64_t hidden) {
  AddNode(OpKind::kEmbedTokens, NameOfMatrix(table)).matrices = {table};
  return Write(AddValue(std::move(name), hidden, ElementType::kF32));
}

int GraphBuilder::EmbedPositions(int residual, int table) {
  GraphNode& node = AddNode(OpKind::kEmbedPositions, NameOfMatrix(table));
  node.matrices = {table};
  node.reads = {residual};
  return Write(AddValue(model_.graph.values[residual].name, WidthOf(residual), ElementType::kF32));
}

int GraphBuilder::LayerNorm(std::string name, int input, int gain, int bias, double epsilon) {
  GraphNode& node = AddNode(OpKind::kLayerNorm, NameOfMatrix(gain));
  node.reads = {input};
  node.vectors = {gain, bias};
  node.attributes.epsilon = epsilon;
  return Write(AddValue(std::move(name), WidthOf(input), ElementType::kCompute));
}

int GraphBuilder::RmsNorm(std::string name, int input, int gain, double epsilon, int residual) {
  if (residual >= 0 && dropout_ > 0) {
    const int norm = RmsNorm(name, input, gain, epsilon);
    return Scale(std::move(name), norm, 1, dropout_, residual);
  }
  GraphNode& node = AddNode(OpKind::kRmsNorm, NameOfMatrix(gain));
  node.reads = {input};
  if (residual >= 0) node.reads.push_back(residual);
  node.vectors = {gain};
  node.attributes.epsilon = epsilon;
  node.attributes.norm_width = model_.parameters[gain].rows;
  const ElementType type = residual >= 0 ? ElementType::kF32 : ElementType::kCompute;
  return Write(AddValue(std::move(name), WidthOf(input), type));
}

int GraphBuilder::Round(std::string name, int residual) {
  AddNode(OpKind::kConvert, name).reads = {residual};
  return Write(AddValue(std::move(name), WidthOf(residual), ElementType::kCompute));
}

int GraphBuilder::Product(std::string name, int input, int matrix, const Addends& addends) {
  const int64_t width = model_.parameters[matrix].rows;
  WS_CHECK(model_.parameters[matrix].cols == WidthOf(input));
  GraphNode& node = AddNode(OpKind::kMatmul, NameOfMatrix(matrix));
  node.matrices = {matrix};
  node.reads = {input};
  if (addends.bias >= 0) node.vectors = {addends.bias};
  if (addends.residual < 0) return Write(AddValue(std::move(name), width, addends.type));
  node.reads.push_back(addends.residual);
  return Write(AddValue(std::move(name), width, ElementType::kF32));
}

int GraphBuilder::Matmul(std::string name, int input, int matrix, const Addends& addends) {
  if (addends.residual < 0 || dropout_ == 0) {
    return Adapted(std::move(name), input, matrix, addends);
  }
  const int sum = Adapted(name, input, matrix, {.bias = addends.bias, .type = ElementType::kF32});
  return Scale(std::move(name), sum, 1, dropout_, addends.residual);
}

int GraphBuilder::Adapted(std::string name, int input, int matrix, const Addends& addends) {
  if (!IsTarget(matrix)) return Product(std::move(name), input, matrix, addends);
  Addends in_full = addends;
  in_full.type = ElementType::kF32;
  const int output = Product(name, input, matrix, in_full);
  const int adapted = Adapt(input, matrix, output);
  const bool full = addends.residual >= 0 || addends.type == ElementType::kF32;
  return full ? adapted : Round(std::move(name), adapted);
}

bool GraphBuilder::IsTarget(int matrix) {
  if (model_.parameters[matrix].adapter) return false;
  const std::string module = ModuleOf(NameOfMatrix(matrix));
  const std::string last = module.substr(module.rfind('.') + 1);
  bool found = false;
  for (const std::string& target : lora_.targets()) {
    if (!MatchesPattern(target, NameOfMatrix(matrix)) && !MatchesPattern(target, last)) continue;
    found = true;
    matched_targets_.insert(target);
  }
  return found;
}

int GraphBuilder::Adapt(int input, int matrix, int output) {
  const Parameter w = model_.parameters[matrix];
  const std::string module = ModuleOf(w.name);
  // As widely as PyTorch spreads a linear layer's; B is 0, so that the model begins as it was.
  const double std = 1 / std::sqrt(3.0 * w.cols);
  const int a = Matrix(absl::StrCat(module, kAdapterA), lora_.rank(), w.cols, std);
  const int b = Matrix(absl::StrCat(module, kAdapterB), w.rows, lora_.rank(), 0);
  model_.parameters[a].adapter = model_.parameters[b].adapter = true;
  const std::string name = model_.graph.values[output].name;
  if (lora_.dropout() > 0) input = Scale(name + " kept", input, 1, lora_.dropout());
  const int low = Product(name + " low", input, a, {});
  const int scaled = Scale(name + " scaled", low, lora_.alpha() / lora_.rank(), 0);
  return Product(name, scaled, b, {.residual = output});
}

absl::StatusOr<Model> GraphBuilder::Take() {
  for (const std::string& target : lora_.targets()) {
    if (matched_targets_.contains(target)) continue;
    return absl::InvalidArgumentError(absl::StrCat("model.lora.targets: \"", target,
                                                   "\" matches no matrix of a product, like ",
                                                   FirstMatmul(model_)));
  }
  return std::move(model_);
}

int GraphBuilder::Drop(int residual) {
  if (dropout_ == 0) return residual;
  return Scale(model_.graph.values[residual].name, residual, 1, dropout_);
}

int GraphBuilder::Scale(std::string name, int input, double factor, double drop, int residual) {
  const GraphValue& value = model_.graph.values[input];
  const int64_t width = value.width;
  const ElementType type = residual >= 0 ? ElementType::kF32 : value.type;
  GraphNode& node = AddNode(OpKind::kScale, name);
  node.reads = {input};
  if (residual >= 0) node.reads.push_back(residual);
  node.attributes.factor = factor;
  node.attributes.drop = drop;
  return Write(AddValue(std::move(name), width, type));
}

int GraphBuilder::Gelu(std::string name, std::string node, int input, GeluFormula formula) {
  GraphNode& added = AddNode(OpKind::kGelu, std::move(node));
  added.reads = {input};
  added.attributes.exact = formula == kExact;
  return Write(AddValue(std::move(name), WidthOf(input), ElementType::kCompute));
}

int GraphBuilder::SiluGated(std::string name, std::string node, int gate, int up) {
  AddNode(OpKind::kSiluGated, std::move(node)).reads = {gate, up};
  return Write(AddValue(std::move(name), WidthOf(gate), ElementType::kCompute));
}

std::vector<int> GraphBuilder::Rotary(std::string node, const std::vector<int>& inputs,
                                      const Attributes& attributes) {
  GraphNode& added = AddNode(OpKind::kRotary, std::move(node));
  added.reads = inputs;
  added.attributes = attributes;
  std::vector<int> turned;
  for (const int input : inputs) {
    const std::string name = model_.graph.values[input].name;
    turned.push_back(Write(AddValue(name, WidthOf(input), ElementType::kCompute)));
  }
  return turned;
}

int GraphBuilder::Attention(std::string node, const std::vector<int>& inputs,
                            const Attributes& attributes) {
  GraphNode& added = AddNode(OpKind::kAttention, std::move(node));
  added.reads = inputs;
  added.attributes = attributes;
  const int64_t heads = attributes.q.heads;
  const int out =
      Write(AddValue("attention out", heads * attributes.head_dim, ElementType::kCompute));
  Write(AddValue("attention lse", heads, ElementType::kF32));
  return out;
}

GraphBuilder::Routes GraphBuilder::Route(std::string node, int logits,
                                         const Attributes& attributes) {
  WS_CHECK(WidthOf(logits) == attributes.experts);
  GraphNode& added = AddNode(OpKind::kRoute, std::move(node));
  added.reads = {logits};
  added.attributes = attributes;
  const int64_t chosen = attributes.experts_per_token, experts = attributes.experts;
  Routes routes{.attributes = attributes};
  routes.weights = Write(AddValue("expert weights", chosen, ElementType::kF32));
  routes.choices = Write(AddValue("expert choices", 2 * chosen, ElementType::kIndex));
  routes.ends = Write(AddRow("expert ends", experts, ElementType::kIndex));
  routes.load = Write(AddRow("expert load", 2 * experts, ElementType::kF32));
  return routes;
}

int GraphBuilder::Dispatch(std::string name, int input, const Routes& routes) {
  GraphNode& node = AddNode(OpKind::kDispatch, name);
  node.reads = {input, routes.choices};
  node.attributes = routes.attributes;
  const int64_t width = WidthOf(input) * routes.attributes.experts_per_token;
  return Write(AddValue(std::move(name), width, ElementType::kCompute));
}

int GraphBuilder::ExpertMatmul(std::string name, int copies, const std::vector<int>& matrices,
                               const Routes& routes) {
  WS_CHECK(static_cast<int64_t>(matrices.size()) == routes.attributes.experts);
  const Parameter& first = model_.parameters[matrices[0]];
  const int64_t chosen = routes.attributes.experts_per_token;
  WS_CHECK(first.cols * chosen == WidthOf(copies));
  GraphNode& node = AddNode(OpKind::kExpertMatmul, name);
  node.matrices = matrices;
  node.reads = {copies, routes.ends};
  node.attributes = routes.attributes;
  return Write(AddValue(std::move(name), first.rows * chosen, ElementType::kCompute));
}

int GraphBuilder::Combine(std::string name, int copies, const Routes& routes, int residual) {
  GraphNode& node = AddNode(OpKind::kCombine, name);
  node.reads = {copies, routes.weights, routes.choices, residual};
  node.attributes = routes.attributes;
  return Write(AddValue(std::move(name), WidthOf(residual), ElementType::kF32));
}

void GraphBuilder::Head(int input, int matrix, int bias, const ExpertBalance& balance) {
  GraphNode& logits = AddNode(OpKind::kLogits, NameOfMatrix(matrix));
  logits.matrices = {matrix};
  logits.reads = {input};
  if (bias >= 0) logits.vectors = {bias};
  const int state = Write(AddValue("row loss", kRowLossFloats, ElementType::kF32));
  GraphNode& loss = AddNode(OpKind::kLoss, "loss");
  loss.reads = {state};
  loss.attributes.experts = balance.experts;
  loss.attributes.aux_loss = balance.weight;
  const bool balances = balance.weight != 0;
  if (balances) loss.reads.insert(loss.reads.end(), balance.loads.begin(), balance.loads.end());
  Write(AddValue("head lse", 1, ElementType::kF32));
  Write(AddValue("token loss", 1, ElementType::kF32));
  if (balances) Write(AddRow("expert balance", balance.experts, ElementType::kF32));
}

}  // namespace waferstream
