// Who is in the cluster, who is heard of, and who is in use.
//
// A node is free (placeable), in use by one job, being released, or lost. Leases decide who is
// lost: a node that was not heard of for lease_s, whatever its socket says. A node that was used is
// free again once every call to it has returned and its Release was answered, so the Prepare of the
// next job never overtakes the end of the last one. A job keeps its nodes from one epoch to the
// next, lost ones too: until the next epoch is placed they may come back with what they hold.
//
// What a node holds is what it says, at every registration and heartbeat. Calls that got lost, came
// late or were meant for its predecessor, and controllers that forgot, leave epochs behind;
// whatever a node says that its job is not, is released.
//
// A cordoned node gets no new job; a draining one leaves the one it has. So does one whose process
// says that it is leaving; that ends with the process.
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
#include "controller/job_record.h"
#include "controller/now.h"
#include "proto/controller.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

struct KnownNode {
  RegisterRequest info;  // as it announced itself last
  double heard_s = 0;
  bool lost = false;
  std::string job_id;  // of the job that uses it
  // Calls that have not returned, by the incarnation that they were made to: one that is lost and
  // replaced may come back before they do.
  std::map<uint64_t, int> calls_in_flight;
  std::vector<EpochRef> release;  // what it holds, or may still hold, of jobs that it left
  bool cordoned = false;
  bool draining = false;
  std::string note;  // why it is cordoned, if the controller did it

  // Gets no new job.
  bool closed() const { return cordoned || info.leaving(); }
  // Is to be taken out of the job it has.
  bool leaves() const { return draining || info.leaving(); }
  bool free() const { return !lost && !closed() && idle(); }
  bool idle() const { return job_id.empty() && release.empty(); }
  // Whether every call to the present process has returned.
  bool quiet() const { return !calls_in_flight.contains(info.incarnation()); }
  void CallBegins() { ++calls_in_flight[info.incarnation()]; }
  void CallEnds(uint64_t incarnation);
  std::string address() const;
};

// The protocol to talk in with a node that says this of itself. FAILED_PRECONDITION: there is none.
absl::StatusOr<uint32_t> ProtocolWith(const RegisterRequest& node);

// What is known of a node before it registers, from before this controller started.
struct NodeMemory {
  struct Claim {
    std::string job_id;
    uint64_t incarnation = 0;
  };
  std::map<std::string, Claim> members;         // by node_id: the live job that it works for
  std::map<std::string, CordonRecord> cordons;  // by node_id
};

class NodeTable {
 public:
  NodeTable(double lease_s, NodeMemory memory) : lease_s_(lease_s), memory_(std::move(memory)) {}

  // Returns whether a node of this id was in use or lost as another process, which is gone now: the
  // caller ends what ran there. Whoever started last has the id, in whatever order registrations
  // arrive: ALREADY_EXISTS: a later incarnation is heard of. INVALID_ARGUMENT: a field is missing
  // or unknown.
  absl::StatusOr<bool> Register(const RegisterRequest& request, double now_s);

  // The node says that it holds this epoch (RegisterRequest.holds, HeartbeatRequest.holds): it is
  // released, unless it is of the job that uses the node.
  void Holds(const std::string& node_id, const EpochRef& held);

  // The node's present process says that it is leaving. Returns whether that is new.
  bool Leaves(const std::string& node_id);

  // Renews the lease. NOT_FOUND: unknown, lost, or another incarnation; it must register again.
  absl::Status Heard(const std::string& node_id, std::optional<uint64_t> incarnation, double now_s);

  // Marks nodes whose lease has ended as lost and returns them; forgets nodes long lost.
  std::vector<std::string> Expire(double now_s);

  // This controller itself was away for so long: nobody could be heard of.
  void Excuse(double away_s);

  // The job is over: nodes that have not registered yet are not its any more.
  void EndJob(const std::string& job_id);

  // INVALID_ARGUMENT: no node_id. A node need not be known (any more).
  absl::Status SetCordon(const CordonRecord& record);

  // When Expire has something to do next, unless a node is heard of before.
  std::optional<double> NextExpiry() const;

  KnownNode* Find(const std::string& node_id);

  // In order of node_id.
  const std::map<std::string, KnownNode>& nodes() const { return nodes_; }

  NodeList List(double now_s) const;
  static NodeStatus StatusOf(const KnownNode& node, double now_s);

 private:
  // Applies what is remembered of a node that is new here.
  void Remember(const RegisterRequest& request, KnownNode& node) const;

  double lease_s_;
  NodeMemory memory_;
  std::map<std::string, KnownNode> nodes_;
};

// "wafer", "MemoryX" or "SwarmX".
const char* RoleName(Role role);

}  // namespace waferstream
