// The flags of a node's process.
#pragma once

#include <cstdint>
#include <string>

#include "base/log.h"
#include "fabric/fabric_kind.h"
#include "node/role.h"
#include "rpc/listen_flags.h"

namespace waferstream {

struct NodeFlags {
  std::string id;
  std::string controller;  // its host:port
  ListenFlags listen;
  uint16_t fabric_port = 0;            // 0: any free one
  uint16_t advertise_fabric_port = 0;  // 0: the port itself
  uint16_t control_port = 0;           // 0: any free one
  std::string fabric = "auto";         // FabricKind
  std::string roots;                   // base/file_roots.h
  uint32_t grace_seconds = 25;         // within the 30 that Kubernetes gives by default
  uint32_t patience_seconds = 30;      // with a controller that is away
  LogTerms log;
};

// Of `fabric`, which the flag has checked.
FabricKind FabricKindOf(const NodeFlags& flags);

// Those of the role included.
void AddNodeFlags(CLI::App& app, NodeRole& role, NodeFlags& flags);

}  // namespace waferstream
