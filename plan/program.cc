#include "plan/program.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "plan/pass_writer.h"

namespace waferstream {
namespace {

// The forward ops; the last two nodes, head and loss, are others when tokens are chosen.
void WriteGenerate(const Graph& graph, const std::vector<int>& values, Program& program) {
  const int head = static_cast<int>(graph.nodes.size()) - 2;
  const int logits = static_cast<int>(program.operations.size());
  program.operations.push_back(
      {.kind = OpKind::kLogits, .node = head, .reads = {values[graph.nodes[head].reads[0]]}});
  program.operations.push_back({.kind = OpKind::kPickToken, .node = head + 1});
  program.generate = program.forward;
  program.generate.pop_back();
  for (Op& op : program.generate) {
    if (program.Of(op).node == head) op.operation = logits;
  }
  program.generate.emplace_back().operation = logits + 1;
}

// The values of the graph, as forward leaves them.
std::vector<int> WriteForward(const Graph& graph, const std::vector<Parameter>& parameters,
                              Dtype compute, Program& program) {
  PassWriter pass(graph, parameters, compute, program.forward_stream, program.forward, program);
  std::vector<int> values(graph.values.size(), -1);
  for (int node = 0; node < static_cast<int>(graph.nodes.size()); ++node) {
    pass.WriteForward(node, values);
    pass.ForgetAll();  // a parameter of two nodes is streamed for each
  }
  pass.AssignReleases();
  return values;
}

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

Program BuildProgram(const Graph& graph, const std::vector<Parameter>& parameters, Dtype compute,
                     const KeepPolicy& policy) {
  WS_CHECK(policy.recompute != RECOMPUTE_AUTO);
  Program program;
  const std::vector<int> values = WriteForward(graph, parameters, compute, program);
  WriteGenerate(graph, values, program);
  WriteBackward(graph, parameters, compute, policy, values, program);
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
