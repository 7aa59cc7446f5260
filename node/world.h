// What a node's shell stands on. The shell is one; a world is a set of adapters behind these
// interfaces (docs/ARCHITECTURE.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "core/role_core.h"
#include "fabric/fabric.h"
#include "node/lanes.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

enum class LogLevel { kInfo, kWarning, kError };

// Sees what happens in one epoch of one node, just before its core does. Called on the loop.
class EpochObserver {
 public:
  virtual ~EpochObserver() = default;
  virtual void OnStart() {}
  virtual void OnCommit(uint64_t /*step*/) {}
  virtual void OnFrame(ChannelId, const FrameHeader&) {}
  virtual void OnCredit(ChannelId) {}
  virtual void OnSent(uint64_t /*token*/) {}
  virtual void OnComputeDone(uint64_t /*id*/) {}
  virtual void OnReport(const NodeReport&) {}
};

using NodeLog = std::function<void(LogLevel level, const std::string& line)>;

struct NodeWorld {
  Loop& loop;
  Fabric& fabric;
  Lanes& lanes;
  NodeLog log;
  // Makes the observer of an epoch, which the arguments outlive. Null: nobody watches.
  std::function<std::unique_ptr<EpochObserver>(const PrepareRequest&, const PrepareReply&,
                                               const Plan&)>
      observe = nullptr;
};

}  // namespace waferstream
