// One event of the controller's core: when it happens, and what the core wants done about it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/job_record.h"
#include "controller/node_call.h"
#include "controller/now.h"
#include "proto/controller.pb.h"

namespace waferstream {

struct ControllerTurn {
  Now now;

  std::vector<NodeCall> calls;

  // One transaction. Transactions are written in the order of turns. The core wants
  // OnPersisted(token, outcome) for every token. `must_persist`: a disk that refuses is tried again
  // until it does not, because a job waits for it; otherwise the outcome tells.
  std::vector<StoreRecord> records;
  std::vector<uint64_t> persist_tokens;
  bool must_persist = false;

  std::vector<JobStatus> published;  // statuses that changed, in order

  // Answers to everybody who submitted with this request_id.
  struct SubmitAnswer {
    std::string request_id;
    absl::StatusOr<std::string> job_id;
  };
  std::vector<SubmitAnswer> submit_answers;

  std::vector<std::string> log;  // one line each, about nodes
};

}  // namespace waferstream
