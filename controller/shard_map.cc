#include "controller/shard_map.h"

namespace waferstream {

ShardMap::ShardMap(const Wire& recorded) {
  for (const JobMemory::Holding& holding : recorded) {
    for (const uint32_t shard : holding.shards()) {
      Add(holding.node_id(), holding.incarnation(), static_cast<int>(shard));
    }
  }
}

void ShardMap::CopyTo(Wire* record) const {
  record->Clear();
  for (const auto& [node_id, held] : held_) {
    JobMemory::Holding* holding = record->Add();
    holding->set_node_id(node_id);
    holding->set_incarnation(held.incarnation);
    for (const int shard : held.shards) holding->add_shards(static_cast<uint32_t>(shard));
  }
}

void ShardMap::Add(const std::string& node_id, uint64_t incarnation, int shard) {
  Held& held = held_[node_id];
  if (held.incarnation != incarnation) held = {incarnation, {}};
  held.shards.insert(shard);
}

void ShardMap::Drop(const std::string& node_id, int shard) {
  const auto at = held_.find(node_id);
  if (at == held_.end()) return;
  at->second.shards.erase(shard);
  if (at->second.shards.empty()) held_.erase(at);
}

bool ShardMap::Holds(const std::string& node_id, uint64_t incarnation, int shard) const {
  const auto at = held_.find(node_id);
  return at != held_.end() && at->second.incarnation == incarnation &&
         at->second.shards.count(shard) > 0;
}

bool ShardMap::HoldsAny(const std::string& node_id, uint64_t incarnation) const {
  const auto at = held_.find(node_id);
  return at != held_.end() && at->second.incarnation == incarnation;
}

std::vector<std::string> ShardMap::HoldersOf(int shard) const {
  std::vector<std::string> holders;
  for (const auto& [node_id, held] : held_) {
    if (held.shards.count(shard) > 0) holders.push_back(node_id);
  }
  return holders;
}

FillMap::FillMap(const Wire& recorded) {
  for (const JobMemory::Fill& fill : recorded) {
    Set(fill.node_id(), fill.incarnation(), static_cast<int>(fill.shard()), fill.tiles());
  }
}

void FillMap::CopyTo(Wire* record) const {
  record->Clear();
  for (const auto& [key, fill] : fills_) {
    JobMemory::Fill* wire = record->Add();
    wire->set_node_id(key.first);
    wire->set_incarnation(fill.incarnation);
    wire->set_shard(static_cast<uint32_t>(key.second));
    wire->set_tiles(fill.tiles);
  }
}

void FillMap::Set(const std::string& node_id, uint64_t incarnation, int shard, uint64_t tiles) {
  fills_[{node_id, shard}] = {incarnation, tiles};
}

void FillMap::DropNode(const std::string& node_id) {
  std::erase_if(fills_, [&](const auto& fill) { return fill.first.first == node_id; });
}

uint64_t FillMap::TilesOf(const std::string& node_id, uint64_t incarnation, int shard) const {
  const auto at = fills_.find({node_id, shard});
  const bool there = at != fills_.end() && at->second.incarnation == incarnation;
  return there ? at->second.tiles : 0;
}

}  // namespace waferstream
