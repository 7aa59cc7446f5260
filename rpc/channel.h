// Where every gRPC channel of the system is made.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/credentials.h"

namespace waferstream {

// Who is to answer, where there are certificates.
enum class Callee { kController, kNode };

// How soon a connection that fails is noticed and given up, and who is at its end.
struct ChannelPatience {
  absl::Duration ping_every;      // while a call is under way
  absl::Duration answer_within;   // of a ping, or the connection is broken
  absl::Duration connect_within;  // of one attempt at the least; the next comes at once
  Callee callee;
};

// From a node to its controller. A link that swallowed packets for ten seconds makes TCP wait
// another ten before it tries again; a connection that is given up is opened anew within one.
inline constexpr ChannelPatience kNodeToController = {absl::Seconds(1), absl::Seconds(2),
                                                      absl::Milliseconds(100), Callee::kController};
// From the controller to a node. Prepare may take minutes; a node whose host vanished under it
// would cost all of its deadline. An address that a node no longer has often swallows packets: as
// long as the other end waits for a handshake (rpc/server.cc), then its name is looked up anew.
inline constexpr ChannelPatience kControllerToNode = {absl::Seconds(1), absl::Seconds(2),
                                                      absl::Seconds(5), Callee::kNode};
// From a user. A Watch sends nothing for as long as nothing changes; a controller that hangs is
// told from that by its missing answer to a ping.
inline constexpr ChannelPatience kUserToController = {absl::Seconds(5), absl::Seconds(5),
                                                      absl::Seconds(20), Callee::kController};

// To `address`, host:port. Calls prove what `credentials` know and ask the same of whoever answers
// (rpc/prover.h). Never through a proxy, whatever the environment says: whom a cluster
// talks to is inside it. Messages of any size are received (a job of many steps has a long list of
// losses). An address that is none gives a channel that is never connected.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const ChannelPatience& patience,
                                           const Credentials& credentials);

// How `address` is written for gRPC: a literal as what it is, so that nobody is asked what it
// stands for, and a name as a name, even if it is also one of gRPC's schemes ("unix:80").
std::string TargetOf(const std::string& address);

}  // namespace waferstream
