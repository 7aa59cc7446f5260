// Which MemoryX processes hold which shards of a job, whole and at its last commit.
//
// This is what a job can go on from: a shard with a holder is not lost. A process is a node in one
// incarnation; what a restarted node held is gone. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
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

  bool Holds(const std::string& node_id, uint64_t incarnation, int shard) const;
  bool HoldsAny(const std::string& node_id, uint64_t incarnation) const;
  // The incarnation in which a node of this id holds anything; 0: it does not.
  uint64_t IncarnationOf(const std::string& node_id) const;
  // In order of node_id.
  std::vector<std::string> HoldersOf(int shard) const;

 private:
  struct Held {
    uint64_t incarnation = 0;
    std::set<int> shards;
  };
  std::map<std::string, Held> held_;  // by node_id; none empty
};

}  // namespace waferstream
