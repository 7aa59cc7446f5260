// One event of a job: when it happens, and what the job wants done about it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/job_record.h"
#include "controller/node_call.h"
#include "controller/now.h"

namespace waferstream {

struct RunTurn {
  Now now;

  struct Call {
    int process;  // position in the run's placement
    NodeRequest request;
  };
  std::vector<Call> calls;
  std::optional<CommitRecord> commit;  // make durable, then OnCommitDurable
  std::optional<RewindRecord> rewind;
  std::vector<CordonRecord> cordons;
  std::vector<std::string> events;  // for the job's history, in order
  bool publish = false;             // the status has changed
  bool record = false;              // and is worth finding again after a restart
  bool confirm = false;             // and OnRecordDurable is wanted
};

}  // namespace waferstream
