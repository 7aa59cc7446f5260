// What different wafers computed for the same micro-batch, by hash, and who of them lied.
//
// Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "proto/node.pb.h"

namespace waferstream {

// By node_id.
using Votes = std::map<std::string, uint64_t>;

class HashVotes {
 public:
  void Add(const std::string& node_id, const MicroBatchHash& vote) {
    votes_[vote.micro_batch()][node_id] = vote.hash();
  }
  // The first micro-batch about which not all are of one mind.
  std::optional<uint32_t> Disputed() const;
  // Empty: nobody voted.
  Votes Of(uint32_t micro_batch) const;

 private:
  std::map<uint32_t, Votes> votes_;
};

// The hash that more than half of the voters computed (at least two); nullopt: there is none.
std::optional<uint64_t> Majority(const Votes& votes);

// "wafer-0 0123456789abcdef, wafer-1 ...".
std::string Describe(const Votes& votes);

}  // namespace waferstream
