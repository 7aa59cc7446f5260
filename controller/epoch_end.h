// How an epoch of a job ended, and what is known of why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/hash_votes.h"

namespace waferstream {

// A loss or gradient that is not finite, and, after a diagnosing epoch, where it came from.
struct BadNumbers {
  std::string what = {};                // "loss is not finite in micro-batch 5"
  std::string wafer = {};               // the node that computed that micro-batch; empty: not known
  std::optional<NonFinite> first = {};  // where it appeared first, and
  std::string first_wafer = {};         // on which node
};

// Wafers that computed different things for one micro-batch.
struct Dispute {
  uint64_t step = 0;
  uint32_t micro_batch = 0;
  Votes votes;
};

struct EpochEnd {
  enum class Kind {
    kDone,       // nothing is left to do
    kFailed,     // the job's own mistake: it would fail again
    kRedo,       // the world's: what is not committed is done again
    kPause,      // somebody must decide
    kSwap,       // a better membership is at hand; nothing went wrong
    kNoNumbers,  // not finite; `bad`
    kDispute,    // `dispute`
    kCounted,    // a diagnosing or disputing epoch has its answer: `bad` (what: empty if finite) or
                 // `dispute`
    kUnsaved,    // all is done, but the last checkpoint could not be written
  };
  struct Damage {
    std::string node_id;
    std::vector<uint32_t>
        shards;  // of which its copies are no good; empty: it holds nothing at all
  };

  Kind kind = Kind::kRedo;
  std::string reason = {};
  std::string suspect =
      {};  // the node that seems to be at fault; empty: none, or it is lost anyway
  std::optional<Damage> damage = {};
  BadNumbers bad = {};
  Dispute dispute = {};
};

}  // namespace waferstream
