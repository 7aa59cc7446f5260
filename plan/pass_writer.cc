#include "plan/pass_writer.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace waferstream {

int PassWriter::NewValue(Value value) {
  value.storage = static_cast<int>(program_.values.size());
  program_.values.push_back(std::move(value));
  return program_.values.back().storage;
}

int PassWriter::NewValue(int of) {
  const GraphValue& value = graph_.values[of];
  return NewValue({.name = value.name,
                   .layer = value.layer,
                   .width = value.width,
                   .per_token = value.per_token,
                   .dtype = value.type == ElementType::kCompute ? compute_ : Dtype::kF32});
}

void PassWriter::Begin(Operation operation) { program_.operations.push_back(std::move(operation)); }

std::vector<int> PassWriter::Stream(int parameter) {
  const auto [at, is_new] = held_.try_emplace(parameter);
  if (!is_new) return at->second;
  const Parameter& p = parameters_[parameter];
  for (int i = 0; i < p.tile_count; ++i) {
    at->second.push_back(static_cast<int>(stream_.size()));
    stream_.push_back(p.first_tile + i);
  }
  return at->second;
}

Op& PassWriter::Add(std::vector<int> needs, bool accumulate) {
  Op& op = ops_.emplace_back();
  op.operation = static_cast<int>(program_.operations.size()) - 1;
  op.needs = std::move(needs);
  op.accumulate = accumulate;
  return op;
}

void PassWriter::AddPerTile(int matrix, const std::vector<int>& vectors, bool adds) {
  std::vector<int> whole;
  std::vector<std::vector<int>> sliced;
  for (const int vector : vectors) {
    const std::vector<int> positions = Stream(vector);
    if (!parameters_[vector].one_tile) {
      sliced.push_back(positions);
    } else {
      whole.insert(whole.end(), positions.begin(), positions.end());
    }
  }
  const std::vector<int> tiles = Stream(matrix);
  for (size_t i = 0; i < tiles.size(); ++i) {
    Op& op = Add(whole, adds || i > 0);
    for (const std::vector<int>& positions : sliced) op.needs.push_back(positions[i]);
    op.needs.push_back(tiles[i]);
    op.item = tiles[i];
  }
}

void PassWriter::WriteForward(int node, std::vector<int>& values) {
  const GraphNode& n = graph_.nodes[node];
  if (n.kind == OpKind::kConvert && compute_ == Dtype::kF32) {
    values[n.writes[0]] = values[n.reads[0]];
    return;
  }
  Operation operation{.kind = n.kind, .node = node};
  for (const int value : n.reads) operation.reads.push_back(values[value]);
  const bool in_place = n.kind == OpKind::kEmbedPositions || n.kind == OpKind::kRotary;
  for (size_t i = 0; i < n.writes.size(); ++i) {
    const int value = NewValue(n.writes[i]);
    if (in_place) {
      program_.values[value].storage = program_.values[values[n.reads[i]]].storage;
      values[n.reads[i]] = -1;
    }
    values[n.writes[i]] = value;
    operation.writes.push_back(value);
  }
  Begin(std::move(operation));
  for (const int matrix : n.matrices) AddPerTile(matrix, n.vectors, /*adds=*/false);
  if (!n.matrices.empty()) return;
  std::vector<int> needs;
  for (const int vector : n.vectors) {
    const std::vector<int> positions = Stream(vector);
    needs.insert(needs.end(), positions.begin(), positions.end());
  }
  Add(std::move(needs));
}

void PassWriter::AssignReleases() {
  std::vector<bool> released(stream_.size(), false);
  for (auto op = ops_.rbegin(); op != ops_.rend(); ++op) {
    for (const int position : op->needs) {
      if (released[position]) continue;
      released[position] = true;
      op->releases.push_back(position);
    }
  }
  WS_CHECK(std::find(released.begin(), released.end(), false) == released.end());
}

}  // namespace waferstream
