#include "plan/sram.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/job_kind.h"
#include "plan/kernel_order.h"
#include "plan/kernel_workspace.h"
#include "plan/partition.h"
#include "plan/plan.h"
#include "plan/staging.h"

namespace waferstream {
namespace {

// Names for people, by SramBuffer.
constexpr const char* kNames[] = {
    "token ids",   "targets",       "activations",   "logits",        "probabilities", "workspace",
    "packed tile", "receive small", "receive large", "staging small", "staging large",
};
static_assert(std::size(kNames) == static_cast<size_t>(SramBuffer::kStagingLarge) + 1);

// Receive slots of a plane beyond what the program needs.
constexpr Credit kReadAhead = {{8, 2}};

class LayoutBuilder {
 public:
  explicit LayoutBuilder(const Plan& plan)
      : plan_(plan),
        products_{.dtype = plan.wire, .portable = IsPortable(plan.job)},
        c_(BytesOf(plan.wire)),
        resident_(plan.resident_max + plan.verify_slots),
        tokens_(plan.tokens()) {}

  SramLayout Build() {
    AddTokens();
    AddHead();
    AddWorkspace();
    AddReceiveSlots();
    if (Trains(plan_.job)) AddStaging();
    return std::move(layout_);
  }

 private:
  // `count` parts of `bytes` each, rounded up so that every part is aligned.
  void Add(SramBuffer buffer, size_t bytes, size_t count, int plane = 0) {
    SramRegion region;
    region.buffer = buffer;
    region.plane = plane;
    region.name = kNames[static_cast<size_t>(buffer)];
    if (buffer == SramBuffer::kReceiveSmall || buffer == SramBuffer::kReceiveLarge) {
      absl::StrAppend(&region.name, ", plane ", plane);
    }
    region.offset = layout_.bytes;
    region.bytes = RoundUp(bytes, kWorkspaceAlignment) * count;
    region.count = count;
    layout_.bytes += region.bytes;
    layout_.regions.push_back(std::move(region));
  }

  void AddTokens() {
    Add(SramBuffer::kTokenIds, tokens_ * sizeof(int32_t), resident_);
    Add(SramBuffer::kTargets, tokens_ * sizeof(int32_t), resident_);
    Add(SramBuffer::kActivations, plan_.places.bytes, resident_);
  }

  void AddHead() {
    if (plan_.is_generation()) {
      Add(SramBuffer::kLogits, HeadTileRows() * sizeof(float), 1);
      return;
    }
    if (Evaluates(plan_.job)) return;  // forward's logits are in the workspace
    const size_t block = std::min<size_t>(kHeadRows, tokens_) * HeadTileRows();
    if (plan_.policy.keeps_logits) {
      Add(SramBuffer::kLogits, tokens_ * Head().rows * sizeof(float), resident_);
    } else {
      Add(SramBuffer::kLogits, block * sizeof(float), 1);
    }
    if (c_ == 2) Add(SramBuffer::kProbabilities, block * c_, 1);
  }

  const Parameter& Head() const { return plan_.parameters[plan_.graph.Head().matrices[0]]; }
  // The first tile of a parameter is as large as any.
  size_t HeadTileRows() const { return plan_.tiles[Head().first_tile].rows; }

  // The largest workspace of the products of one tile [rows, cols].
  size_t TileWorkspace(size_t rows, size_t cols) const {
    return std::max({GemmWorkspaceBytes(products_, rows, cols),
                     GemmWorkspaceBytes(products_, cols, rows),
                     GemmWorkspaceBytes(products_, cols, tokens_)});
  }

  size_t HeadWorkspace(size_t rows) const {
    const size_t hidden = Head().cols, columns = std::min<size_t>(kHeadColumns, rows);
    const size_t logits = kUnitRows * columns * sizeof(float);
    return std::max({logits + GemmWorkspaceBytes(products_, columns, hidden),
                     GemmWorkspaceBytes(products_, hidden, rows),
                     GemmWorkspaceBytes(products_, hidden, std::min<size_t>(kHeadRows, tokens_))});
  }

  size_t AttentionWorkspace(size_t head) const {
    const size_t context = plan_.job.model().context();
    // A sequence in the making, and a document, have any length, and the formulas need not grow
    // with it.
    const bool any = plan_.is_generation() || plan_.job.data().isolate_documents();
    size_t bytes = 0;
    for (size_t tokens = any ? 1 : context; tokens <= context; ++tokens) {
      bytes = std::max(bytes, AttentionForwardWorkspaceBytes(products_, tokens, head));
      if (!Trains(plan_.job)) continue;
      bytes = std::max(bytes, AttentionBackwardWorkspaceBytes(products_, tokens, head));
    }
    return bytes;
  }

  // Of all attention nodes, each head size once.
  size_t AttentionWorkspace() const {
    std::set<int64_t> heads;
    for (const GraphNode& node : plan_.graph.nodes) {
      if (node.kind == OpKind::kAttention) heads.insert(node.attributes.head_dim);
    }
    size_t bytes = 0;
    for (const int64_t head : heads) bytes = std::max(bytes, AttentionWorkspace(head));
    return bytes;
  }

  // An expert's gradient sums over as many tokens as come to it, and the formula need not grow with
  // them.
  size_t ExpertsWorkspace() const {
    std::set<int64_t> widths;
    for (const GraphNode& node : plan_.graph.nodes) {
      if (node.kind != OpKind::kExpertMatmul) continue;
      widths.insert(plan_.parameters[node.matrices[0]].cols);
    }
    size_t bytes = 0;
    for (const int64_t width : widths) {
      for (size_t tokens = 1; tokens <= tokens_; ++tokens) {
        bytes = std::max(bytes, GemmWorkspaceBytes(products_, width, tokens));
      }
    }
    return bytes;
  }

  void AddWorkspace() {
    size_t bytes = std::max(AttentionWorkspace(), ExpertsWorkspace()), packed = 0;
    for (const Tile& tile : plan_.tiles) {
      const Parameter& p = plan_.parameters[tile.parameter];
      if (!p.two_dimensional) continue;  // not of a product
      const bool head = &p == &Head();
      bytes = std::max(bytes, head ? HeadWorkspace(tile.rows) : TileWorkspace(tile.rows, p.cols));
      packed = std::max(
          {packed, GemmPackedBytes(tile.rows, p.cols), GemmPackedBytes(p.cols, tile.rows)});
    }
    Add(SramBuffer::kWorkspace, bytes, plan_.job.cluster().wafer().kernel_threads());
    Add(SramBuffer::kPackedTile, packed, Trains(plan_.job) ? 2 : 1);
  }

  void AddReceiveSlots() {
    const std::vector<Credit> windows = WaferTileWindows(plan_);
    for (size_t plane = 0; plane < windows.size(); ++plane) {
      const int* slots = windows[plane].slots;
      Add(SramBuffer::kReceiveSmall, plan_.tile_slot_bytes[kSmall], slots[kSmall], plane);
      Add(SramBuffer::kReceiveLarge, plan_.tile_slot_bytes[kLarge], slots[kLarge], plane);
    }
  }

  // Room for the gradients that one op makes, those of a checked micro-batch included, while the
  // blocks of two earlier ops are being sent.
  void AddStaging() {
    size_t buffers = 0, blocks = 0;
    for (int wave = 0; wave < plan_.waves; ++wave) {
      for (int wafer = 0; wafer < plan_.shape.wafers; ++wafer) {
        const StagingSchedule schedule =
            ScheduleStaging(plan_.TrainingLeaves(wave, wafer), plan_.leaves);
        buffers = std::max<size_t>(buffers, schedule.buffers);
        blocks = std::max(blocks, schedule.blocks.size());
      }
    }
    size_t items[kSlotClasses] = {0, 0};  // gradients of one op, at the most
    for (const Op& op : plan_.program.backward) {
      size_t of_op[kSlotClasses] = {0, 0};
      for (int g : op.gradients) ++of_op[plan_.tiles[plan_.program.gradient_stream[g].tile].slot];
      for (int s = 0; s < kSlotClasses; ++s) items[s] = std::max(items[s], of_op[s]);
    }
    const size_t slots = buffers + plan_.verify_slots + 2 * blocks;
    Add(SramBuffer::kStagingSmall, plan_.gradient_slot_bytes[kSmall], items[kSmall] * slots);
    Add(SramBuffer::kStagingLarge, plan_.gradient_slot_bytes[kLarge], items[kLarge] * slots);
  }

  const Plan& plan_;
  const ProductKind products_;
  const size_t c_;  // bytes of a compute element
  const size_t resident_;
  const size_t tokens_;  // of a micro-batch
  SramLayout layout_;
};

}  // namespace

const SramRegion* SramLayout::Find(SramBuffer buffer, int plane) const {
  for (const SramRegion& region : regions) {
    if (region.buffer == buffer && region.plane == plane) return &region;
  }
  return nullptr;
}

std::vector<Credit> WaferTileWindows(const Plan& plan) {
  const int planes = static_cast<int>(plan.job.cluster().planes());
  std::vector<Credit> windows = SlotsNeeded(plan.program, plan.tiles, planes);
  for (Credit& window : windows) {
    for (int s = 0; s < kSlotClasses; ++s) window.slots[s] += kReadAhead.slots[s];
  }
  return windows;
}

SramLayout LayOutSram(const Plan& plan) { return LayoutBuilder(plan).Build(); }

size_t SramNeeded(Plan plan) {
  plan.policy.keeps_logits = false;
  return LayOutSram(plan).bytes;
}

}  // namespace waferstream
