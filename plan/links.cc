#include "plan/links.h"

#include <algorithm>

#include "plan/job_kind.h"
#include "plan/topology.h"

namespace waferstream {
namespace {

// The links of the processes of all roles, and where each is among them.
class Links {
 public:
  explicit Links(const ClusterShape& shape) : shape_(shape) {
    for (const Role role : {MEMORYX, SWARMX, WAFER}) {
      for (int p = 0; p < CountOf(role); ++p) all_.push_back({.role = role, .process = p});
    }
  }

  void Move(const Endpoint& from, const Endpoint& to, PassBytes LinkTraffic::*pass,
            uint64_t bytes) {
    PassBytes& sender = At(from).*pass;
    PassBytes& receiver = At(to).*pass;
    if (&sender == &receiver) {
      sender.inside += bytes;
    } else {
      sender.sent += bytes;
      receiver.received += bytes;
    }
  }
  std::vector<LinkTraffic> Take() { return std::move(all_); }

 private:
  int CountOf(Role role) const {
    return role == MEMORYX ? shape_.memoryx : role == SWARMX ? shape_.swarmx : shape_.wafers;
  }
  LinkTraffic& At(const Endpoint& end) {
    const int before =
        (end.role == MEMORYX ? 0 : shape_.memoryx) + (end.role == WAFER ? shape_.swarmx : 0);
    return all_[before + end.process];
  }

  const ClusterShape& shape_;
  std::vector<LinkTraffic> all_;
};

// What one channel carries down in a wave, and up for one block of each of its gradients.
struct ChannelBytes {
  uint64_t forward = 0;
  uint64_t backward = 0;
  uint64_t up = 0;
};

// By plane: between tree nodes and wafers, where all of the plane's tiles pass.
using PlaneBytes = std::vector<ChannelBytes>;

// One pass over the streams, because there may be millions of tiles and thousands of channels.
class StreamBytes {
 public:
  explicit StreamBytes(const Plan& plan)
      : in_trees_(plan.job.cluster().planes()), at_memoryx_(plan.shape.memoryx, in_trees_) {
    AddTiles(plan, plan.program.forward_stream, &ChannelBytes::forward);
    if (!Trains(plan.job)) return;
    AddTiles(plan, plan.program.backward_stream, &ChannelBytes::backward);
    for (const GradientItem& item : plan.program.gradient_stream) AddGradient(plan, item.tile);
  }

  const ChannelBytes& Of(const Channel& channel) const {
    const bool at_root = channel.up.role == MEMORYX;
    return (at_root ? at_memoryx_[channel.up.process] : in_trees_)[channel.plane];
  }

 private:
  void AddTiles(const Plan& plan, const std::vector<int>& stream, uint64_t ChannelBytes::*pass) {
    for (const int tile : stream) {
      const int plane = plan.tiles[tile].plane;
      in_trees_[plane].*pass += plan.TileBytes(tile);
      at_memoryx_[plan.Primary(tile)][plane].*pass += plan.TileBytes(tile);
    }
  }
  // To all who hold the tile, or are about to.
  void AddGradient(const Plan& plan, int tile) {
    const int plane = plan.tiles[tile].plane;
    in_trees_[plane].up += plan.GradientBytes(tile);
    const ShardHolders& shard = plan.shape.shards[plan.tiles[tile].shard];
    for (const auto* holders : {&shard.owners, &shard.filling}) {
      for (const int process : *holders) {
        at_memoryx_[process][plane].up += plan.GradientBytes(tile);
      }
    }
  }

  PlaneBytes in_trees_;
  std::vector<PlaneBytes> at_memoryx_;  // by process
};

// Those of one gradient.
uint64_t BlocksAStep(const Plan& plan, const Endpoint& down) {
  uint64_t blocks = 0;
  for (int wave = 0; wave < plan.waves; ++wave) blocks += BlocksFrom(plan, down, wave).size();
  return blocks;
}

}  // namespace

std::vector<LinkTraffic> LinksOf(const Plan& plan) {
  const StreamBytes streams(plan);
  const uint64_t waves = Trains(plan.job) ? plan.waves : 1;
  Links links(plan.shape);
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) continue;
    const ChannelBytes& bytes = streams.Of(channel);
    links.Move(channel.up, channel.down, &LinkTraffic::forward, waves * bytes.forward);
    if (!Trains(plan.job)) continue;
    links.Move(channel.up, channel.down, &LinkTraffic::backward, waves * bytes.backward);
    links.Move(channel.down, channel.up, &LinkTraffic::backward,
               BlocksAStep(plan, channel.down) * bytes.up);
  }
  return links.Take();
}

LinkBound LinkBoundOf(const std::vector<LinkTraffic>& links) {
  LinkBound most;
  for (const LinkTraffic& link : links) {
    most.forward = std::max({most.forward, link.forward.sent, link.forward.received});
    most.backward = std::max({most.backward, link.backward.sent, link.backward.received});
  }
  return most;
}

}  // namespace waferstream
