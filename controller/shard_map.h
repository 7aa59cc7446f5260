// Which MemoryX processes hold which shards of a job, whole and at its last commit.
//
// This is what a job can go on from: a shard with a holder is not lost. A process is a node in one
// incarnation; what a restarted node held is gone. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"
#include "proto/store.pb.h"

namespace waferstream {

class ShardMap {
 public:
  using Wire = google::protobuf::RepeatedPtrField<JobMemory::Holding>;

  ShardMap() = default;
  explicit ShardMap(const Wire& recorded);
  void CopyTo(Wire* record) const;

  bool empty() const { return held_.empty(); }
  void Clear() { held_.clear(); }
  void Add(const std::string& node_id, uint64_t incarnation, int shard);
  // The node's process is another one, or refuses to know of any: it holds nothing.
  void DropNode(const std::string& node_id) { held_.erase(node_id); }
  void Drop(const std::string& node_id, int shard);
  // All other nodes hold nothing of the last commit.
  void KeepOnly(const std::set<std::string>& node_ids) {
    std::erase_if(held_, [&](const auto& held) { return !node_ids.contains(held.first); });
  }

  bool Holds(const std::string& node_id, uint64_t incarnation, int shard) const;
  bool HoldsAny(const std::string& node_id, uint64_t incarnation) const;
  // In order of node_id.
  std::vector<std::string> HoldersOf(int shard) const;

 private:
  struct Held {
    uint64_t incarnation = 0;
    std::set<int> shards;
  };
  std::map<std::string, Held> held_;  // by node_id; none empty
};

// Which processes have the first tiles of which shards, and could go on filling them. True of the
// job's last epoch only: who takes no part in an epoch falls behind. Pure; not thread-safe.
class FillMap {
 public:
  using Wire = google::protobuf::RepeatedPtrField<JobMemory::Fill>;

  FillMap() = default;
  explicit FillMap(const Wire& recorded);
  void CopyTo(Wire* record) const;

  void Clear() { fills_.clear(); }
  void Set(const std::string& node_id, uint64_t incarnation, int shard, uint64_t tiles);
  void Drop(const std::string& node_id, int shard) { fills_.erase({node_id, shard}); }
  // The node's process is another one, or refuses to know of any.
  void DropNode(const std::string& node_id);
  // 0: none.
  uint64_t TilesOf(const std::string& node_id, uint64_t incarnation, int shard) const;
  bool Fills(const std::string& node_id, int shard) const {
    return fills_.contains({node_id, shard});
  }

 private:
  struct Fill {
    uint64_t incarnation;
    uint64_t tiles;
  };
  std::map<std::pair<std::string, int>, Fill> fills_;  // by node_id and shard
};

}  // namespace waferstream
