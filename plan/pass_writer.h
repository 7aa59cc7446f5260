// Writes one pass of a program: its operations and ops, and the stream that they need.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/program.h"

namespace waferstream {

class PassWriter {
 public:
  PassWriter(const Graph& graph, const std::vector<Parameter>& parameters, Dtype compute,
             std::vector<int>& stream, std::vector<Op>& ops, Program& program)
      : graph_(graph),
        parameters_(parameters),
        compute_(compute),
        stream_(stream),
        ops_(ops),
        program_(program) {}

  const Parameter& parameter(int index) const { return parameters_[index]; }
  Dtype compute() const { return compute_; }

  // A value of the program that holds a value of the graph: one of its own.
  int NewValue(int of);
  int NewValue(Value value);

  // Begins an operation; ops are then of this one.
  void Begin(Operation operation);
  // Positions of the parameter's tiles, which from now on are part of the stream; those that it has
  // already, if they are still held.
  std::vector<int> Stream(int parameter);
  // What was streamed before is not used again: whoever needs it streams it anew.
  void Forget(int parameter) { held_.erase(parameter); }
  void ForgetAll() { held_.clear(); }

  Op& Add(std::vector<int> needs = {}, bool accumulate = false);
  // One op for every tile of the matrix, which needs `also` and the tile; `vectors` are streamed
  // before the matrix and needed whole, but of one that is cut like it, the tile that goes with the
  // op's. `adds`: whether the first op adds to what is there; those after it do.
  void AddPerTile(int matrix, const std::vector<int>& vectors, bool adds);

  // The forward of a node, whose values are `values` by value of the graph; makes those that it
  // writes. Nothing is streamed that it does not need.
  void WriteForward(int node, std::vector<int>& values);

  // When all is written: the last op that needs a position releases it.
  void AssignReleases();

 private:
  const Graph& graph_;
  const std::vector<Parameter>& parameters_;
  const Dtype compute_;
  std::vector<int>& stream_;
  std::vector<Op>& ops_;
  Program& program_;
  std::map<int, std::vector<int>> held_;  // positions, by parameter
};

// Appends the backward of the whole graph to a program that has its forward, whose values of the
// graph are `values`.
void WriteBackward(const Graph& graph, const std::vector<Parameter>& parameters, Dtype compute,
                   const KeepPolicy& policy, const std::vector<int>& values, Program& program);

}  // namespace waferstream
