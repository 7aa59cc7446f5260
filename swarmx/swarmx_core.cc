#include "swarmx/swarmx_core.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

// A token names a slot of one side of one tree node: node << 33 | side << 32 | slot.
enum class Side : uint64_t { kTiles = 0, kGradients = 1 };

uint64_t TokenBase(int node, Side side) {
  return static_cast<uint64_t>(node) << 33 | static_cast<uint64_t>(side) << 32;
}

absl::Status NotOurs(ChannelId channel) {
  return absl::InvalidArgumentError(
      absl::StrCat("channel ", channel, ": this process does not receive such frames on it"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SwarmxCore>> SwarmxCore::Create(const Plan& plan, int process,
                                                               uint32_t epoch,
                                                               uint64_t start_step) {
  size_t bytes = 0;
  for (const TreeNode& node : plan.tree_nodes) {
    if (node.process != process) continue;
    bytes += TileRelay::ResidentBytes(plan, node) + GradientReducer::ResidentBytes(plan, node);
  }
  ASSIGN_OR_RETURN(Arena memory, Arena::CreateLent(bytes));
  std::unique_ptr<SwarmxCore> core(new SwarmxCore(plan, process, start_step, std::move(memory)));
  size_t offset = 0;
  for (size_t n = 0; n < plan.tree_nodes.size(); ++n) {
    if (plan.tree_nodes[n].process != process) continue;
    core->AddNode(static_cast<int>(n), epoch, start_step, offset);
  }
  return core;
}

SwarmxCore::SwarmxCore(const Plan& plan, int process, uint64_t start_step, Arena memory)
    : plan_(plan),
      process_(process),
      memory_(std::move(memory)),
      nodes_(plan.tree_nodes.size()),
      step_(start_step) {}

void SwarmxCore::AddNode(int index, uint32_t epoch, uint64_t start_step, size_t& offset) {
  const TreeNode& node = plan_.tree_nodes[index];
  const auto claim = [&](size_t bytes) {
    const std::span<std::byte> memory = memory_.Claim(offset, bytes);
    offset += bytes;
    return memory;
  };
  nodes_[index].relay =
      std::make_unique<TileRelay>(plan_, node, epoch, start_step, TokenBase(index, Side::kTiles),
                                  claim(TileRelay::ResidentBytes(plan_, node)), &traffic_);
  nodes_[index].reducer = std::make_unique<GradientReducer>(
      plan_, Endpoint{SWARMX, process_, index}, epoch, start_step,
      TokenBase(index, Side::kGradients), static_cast<uint64_t>(index),
      claim(GradientReducer::ResidentBytes(plan_, node)), &traffic_);
  blocks_per_step_ += nodes_[index].reducer->blocks_per_step();
}

void SwarmxCore::Start(Turn& turn) {
  for (Node& node : nodes_) {
    if (!node.relay) continue;
    node.relay->Start(turn);
    node.reducer->Start(turn);
  }
}

SwarmxCore::Node* SwarmxCore::At(const Endpoint& end) {
  return end.role == SWARMX && end.process == process_ ? &nodes_[end.node] : nullptr;
}

absl::StatusOr<std::span<std::byte>> SwarmxCore::BufferFor(ChannelId channel,
                                                           const FrameHeader& header) {
  const Channel& c = plan_.channels[channel];
  if (header.kind == FrameKind::kTile) {
    Node* const node = At(c.down);
    return node ? node->relay->BufferFor(channel, header) : NotOurs(channel);
  }
  Node* const node = header.kind == FrameKind::kGradient ? At(c.up) : nullptr;
  return node ? node->reducer->BufferFor(channel, header) : NotOurs(channel);
}

absl::Status SwarmxCore::OnFrame(ChannelId channel, const FrameHeader& header,
                                 const std::byte* payload, Turn& turn) {
  const Channel& c = plan_.channels[channel];
  if (header.kind == FrameKind::kTile) {
    At(c.down)->relay->OnFrame(channel, header, payload, turn);
  } else {
    At(c.up)->reducer->OnFrame(channel, header, payload, turn);
  }
  return absl::OkStatus();
}

void SwarmxCore::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) {
  const Channel& c = plan_.channels[channel];
  if (kind == FrameKind::kTile) {
    At(c.up)->relay->OnCredit(channel, credit, turn);
  } else {
    At(c.down)->reducer->OnCredit(channel, credit, turn);
  }
}

void SwarmxCore::OnSent(uint64_t token, Turn& turn) {
  Node& node = nodes_[token >> 33];
  const int slot = static_cast<int>(token & 0xFFFFFFFFu);
  if (static_cast<Side>(token >> 32 & 1) == Side::kTiles) {
    node.relay->OnSent(slot, turn);
  } else {
    if (node.reducer->OnSent(slot, turn)) CountSentBlock(turn);
  }
}

absl::Status SwarmxCore::OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) {
  RETURN_IF_ERROR(status);
  nodes_[id].reducer->OnComputeDone(turn);
  return absl::OkStatus();
}

void SwarmxCore::CountSentBlock(Turn& turn) {
  if (++blocks_sent_ < blocks_per_step_) return;
  blocks_sent_ = 0;
  ReportAction report;
  SwarmxStep* const step = report.report.mutable_swarmx_step();
  step->set_step(step_++);
  *step->mutable_traffic() = traffic_;
  turn.actions.push_back(std::move(report));
}

}  // namespace waferstream
