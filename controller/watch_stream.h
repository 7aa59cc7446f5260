// One Watch call: the job's status now, at every change, and a last time when it is final.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "controller/controller_host.h"
#include "controller/status_board.h"
#include "proto/controller.grpc.pb.h"

namespace waferstream {

// At most one message is on its way; what changes meanwhile is sent as one, the latest. So a slow
// watcher costs one status, whatever the job does.
//
// Everything happens on the host's main loop: gRPC's reactions only post there. Deletes itself when
// gRPC is done with it, which Finish brings about; Finish is called once, with nothing on its way.
class WatchStream final : public grpc::ServerWriteReactor<JobStatus>, public StatusWatcher {
 public:
  WatchStream(ControllerHost& host, std::string job_id);

  void OnStatus() override;

  // gRPC's reactions.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void Begin();
  // Does the next thing that is due, if nothing is on its way.
  void Advance();
  void SendLast();
  void End(const absl::Status& status);

  ControllerHost& host_;
  std::string job_id_;    // as it was asked for; from Begin on the whole id
  JobStatus message_;     // on its way
  bool busy_ = false;     // something is on its way, or everything is over
  bool changed_ = false;  // since the last message
  bool gone_ = false;     // the watcher has left
  bool last_sent_ = false;
};

}  // namespace waferstream
