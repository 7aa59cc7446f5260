// A controller from its start to its end, whatever told it its terms: a command line, a launcher.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log.h"
#include "rpc/listen_flags.h"

namespace waferstream {

struct ControllerTerms {
  ListenTerms listen;
  std::string host;             // where others reach it
  uint16_t port = 0;            // 0: any free one
  uint16_t advertise_port = 0;  // 0: the port itself
  std::string state_dir;
  int lease_ms = 1000;
  std::vector<std::string> roots = {};   // folders that files of jobs are in; none: anywhere
  std::vector<std::string> writes = {};  // files and folders that this process writes beside them
  std::string users_file = {};           // base/users.h; empty: whoever is let in may do everything
  LogTerms log = {};
};

// Role: the log, the controller and its gRPC server. Serves until Stop or its end.
class ServingController {
 public:
  // One line: the log, the state directory or the port cannot be had, or another controller uses
  // them.
  static absl::StatusOr<std::unique_ptr<ServingController>> Start(ControllerTerms terms);
  virtual ~ServingController() = default;

  // host:port, where others reach it.
  virtual const std::string& address() const = 0;
  // Whoever asks is answered, what is to be recorded is written. Again: nothing.
  virtual void Stop() = 0;
};

// Whoever waits for the file never sees half of it.
absl::Status WritePortFile(const std::string& path, const std::string& address);

}  // namespace waferstream
