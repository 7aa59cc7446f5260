// Who is in the cluster, who is heard of, and who is in use.
//
// A node is free (placeable), in use by one run, being released, or lost. Leases decide who is
// lost: a node that was not heard of for lease_s, whatever its socket says. A node that was used is
// free again once every call to it has returned and its Release was answered, so the Prepare of the
// next job never overtakes the end of the last one.
//
// Pure; not thread-safe. References and pointers to nodes hold until the next call of Register or
// Expire.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/now.h"
#include "proto/controller.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

struct KnownNode {
  RegisterRequest info;  // as it announced itself last
  double heard_s = 0;
  bool lost = false;
  std::string job_id;             // of the run that uses it
  int calls_in_flight = 0;        // to this incarnation
  std::vector<EpochRef> release;  // what it may still hold of runs that have ended

  bool free() const { return !lost && job_id.empty() && release.empty(); }
  std::string address() const;
};

class NodeTable {
 public:
  // `leftovers`: what a node may hold from before this controller started.
  NodeTable(double lease_s, std::vector<EpochRef> leftovers)
      : lease_s_(lease_s), leftovers_(std::move(leftovers)) {}

  // Returns whether a node of this id was in use or lost as another process, which is gone now: the
  // caller ends what ran there. INVALID_ARGUMENT: a field is missing or unknown.
  absl::StatusOr<bool> Register(const RegisterRequest& request, double now_s);

  // Renews the lease. NOT_FOUND: unknown, lost, or another incarnation; it must register again.
  absl::Status Heard(const std::string& node_id, std::optional<uint64_t> incarnation, double now_s);

  // Marks nodes whose lease has ended as lost and returns them; forgets nodes long lost.
  std::vector<std::string> Expire(double now_s);

  // When Expire has something to do next, unless a node is heard of before.
  std::optional<double> NextExpiry() const;

  KnownNode* Find(const std::string& node_id);

  // In order of node_id.
  const std::map<std::string, KnownNode>& nodes() const { return nodes_; }

  NodeList List(double now_s) const;

 private:
  double lease_s_;
  std::vector<EpochRef> leftovers_;
  std::map<std::string, KnownNode> nodes_;
};

// "wafer", "MemoryX" or "SwarmX".
const char* RoleName(Role role);

}  // namespace waferstream
