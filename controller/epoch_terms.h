// What an epoch of a job begins with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/job_record.h"

namespace waferstream {

// See PrepareRequest for what each field means to the nodes.
struct EpochTerms {
  uint64_t start_step = 0;
  bool keep = false;
  std::optional<CommitRecord> last_commit;  // of start_step - 1; with keep only
  std::string restore;
  bool checkpoint_now = false;
  std::vector<uint32_t> disputed;
  bool diagnose = false;
  // By (shard, MemoryX process that fills it): tiles that it has from the epoch before.
  std::map<std::pair<int, int>, uint64_t> filled_tiles;

  // Does one step to find something out, and does not commit it.
  bool only_counts() const { return diagnose || !disputed.empty(); }
};

}  // namespace waferstream
