// Which part of which plan a MemoryX core plays.
#pragma once

#include <cstdint>

namespace waferstream {

struct MemoryxPlace {
  int process = 0;  // index in the roster
  uint32_t epoch = 0;
  uint64_t start_step = 0;      // steps already done
  bool checkpoint_now = false;  // the checkpoint after start_step steps is due
};

}  // namespace waferstream
