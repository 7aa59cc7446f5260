// One op about to run: what it works on, where that is, and how its work is shared out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "plan/kernel_order.h"
#include "plan/kernel_workspace.h"
#include "plan/partition.h"
#include "plan/plan.h"
#include "wafer_node/address_book.h"
#include "wafer_node/token_picker.h"
#include "wafer_node/wave.h"
#include "wafer_node/wave_hashes.h"

namespace waferstream {

class ComputeFaults;
class Diagnosis;

// What an op needs beside the activations, gathered by the core before it starts.
struct OpInputs {
  const Op* op = nullptr;
  std::vector<const std::byte*> tiles;  // of op->needs, in order
  // Staging buffers of every gradient of the op, in order; as many as the wave's schedule names.
  std::vector<std::vector<float*>> staging;
};

// What comes out of ops, other than activations and gradients.
struct OpResults {
  // Of every resident micro-batch, whether the gradients that the op made of it are all zero, as it
  // had nothing to do with the weights. The op sets it before its work is shared out.
  std::vector<bool> untouched;
  std::vector<double> loss_sums;  // of every resident micro-batch, in nats
  TokenPicker* picker = nullptr;  // generation only, and so is the token that it chose
  int32_t picked = 0;
  std::vector<float> logits;  // of the last token, if the job asks for them
};

// Who looks at the numbers while they are made.
struct OpWatchers {
  WaveHashes* hashes = nullptr;     // of gradients that are verified
  Diagnosis* diagnosis = nullptr;   // null: nobody asked
  ComputeFaults* faults = nullptr;  // null: the machine is sound
};

// A view, alive while the op runs. `parallel` may call back from several threads; everything here
// is then read-only but for `results`, which kLoss writes by micro-batch and kPickToken from one
// thread, and the watchers, which allow it.
struct OpContext {
  const Plan& plan;
  const AddressBook& at;
  const Wave& wave;
  const OpInputs& in;
  OpResults& results;
  const OpWatchers& watchers;
  Parallel& parallel;

  const Op& op() const { return *in.op; }
  Dtype dtype() const { return plan.wire; }
  ProductKind products() const { return {plan.wire, IsPortable(plan.job)}; }
  const Operation& operation() const { return plan.program.Of(op()); }
  // Of the graph; not every operation is one's.
  const GraphNode& node() const { return plan.graph.nodes[operation().node]; }

  // Tokens of a micro-batch whose loss counts: all, but for the last one of a validation, which is
  // filled up.
  int64_t MeasuredTokens(int resident) const;

  // The tile that a streamed op works on, and its weights.
  const Tile& tile() const;
  const std::byte* weights() const { return in.tiles.back(); }

  std::span<std::byte> Workspace(int thread) const {
    return at.Part(SramBuffer::kWorkspace, thread);
  }

  // Runs unit(resident, rows, thread) for every kUnitRows tokens of every micro-batch.
  using RowUnit = std::function<void(int resident, RowSpan rows, int thread)>;
  void ForRows(const RowUnit& unit) const;

  // Which gradient of the op is that of a parameter; -1: the op makes none of it.
  int GradientOf(int parameter) const;
  // Where the gradient of micro-batch `resident` is made: gradient `g` of the op.
  float* Staging(int g, int resident) const;
  // After elements [first, first + count) of it have been made for this micro-batch: hashes them if
  // it is verified, and adds up the siblings among the micro-batches so far.
  void FinishStaged(int g, int resident, int64_t first, int64_t count) const;
};

// Element `index` of an array of `dtype`.
inline std::byte* ElementAt(std::byte* base, Dtype dtype, int64_t index) {
  return base + index * BytesOf(dtype);
}
inline const std::byte* ElementAt(const std::byte* base, Dtype dtype, int64_t index) {
  return base + index * BytesOf(dtype);
}

}  // namespace waferstream
