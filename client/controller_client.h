// The controller's user calls, each with a deadline, with errors that say which controller.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "proto/controller.pb.h"

namespace waferstream {

// Whether the same call may succeed in a moment: the controller did not answer.
bool MayComeBack(const absl::Status& status);

// Names one Submit or Resume for good, however often it is called: 128 random bits.
std::string NewRequestId();

// The controller answers from memory or from one small SQLite transaction; what takes longer than
// this is not coming.
inline constexpr absl::Duration kCallLimit = absl::Seconds(10);

// Thread-safe. Only what a controller that has just begun to listen refused unheard is tried again
// here, within the call's deadline; every call of the protocol may be repeated by who calls. Errors
// keep the code that the controller gave; UNAVAILABLE and DEADLINE_EXCEEDED mean that it did not
// answer.
class ControllerClient {
 public:
  // `credentials`: what the calls prove; with a secret, only who proves it is believed.
  explicit ControllerClient(std::string address, const Credentials& credentials = {});
  ~ControllerClient();

  absl::StatusOr<JobStatus> Submit(const SubmitRequest& request);
  absl::StatusOr<JobStatus> Get(const std::string& job_id);
  absl::StatusOr<JobList> List();
  absl::StatusOr<JobStatus> Cancel(const std::string& job_id);
  absl::StatusOr<JobStatus> Resume(const ResumeRequest& request);
  absl::StatusOr<EventList> Events(const std::string& job_id);
  absl::StatusOr<NodeList> ListNodes(absl::Duration answer_within = kCallLimit);
  absl::StatusOr<NodeStatus> CordonNode(const CordonRequest& request);
  // The last `bytes_max` bytes of a node's log.
  absl::StatusOr<std::string> ReadNodeLog(const std::string& node_id, uint64_t bytes_max);
  absl::StatusOr<VersionReply> Version();

  // One Watch call. Read() may block; Cancel() may be called from another thread and makes it end.
  class WatchCall {
   public:
    virtual ~WatchCall() = default;
    // False at the end of the stream.
    virtual bool Read(JobStatus* status) = 0;
    virtual void Cancel() = 0;
    // After Read() said false: OK, or why the stream broke.
    virtual absl::Status Finish() = 0;
  };
  std::unique_ptr<WatchCall> Watch(const std::string& job_id);

  // Waits until there is a connection, at most so long. Between two attempts of a call this is what
  // to do rather than sleep: gRPC works on a connection only while a thread waits inside it, or
  // else every five seconds.
  void AwaitConnection(absl::Duration at_most);

  const std::string& address() const { return address_; }

 private:
  struct Impl;
  const std::string address_;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace waferstream
