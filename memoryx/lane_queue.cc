#include "memoryx/lane_queue.h"

#include <utility>

#include "base/status.h"

namespace waferstream {

void LaneQueue::Run(Lane lane, const char* what, Work work, Done done, Turn& turn,
                    uint64_t about_ns) {
  if (lane == Lane::kCompute && computing_++ == 0) busy_since_s_ = turn.now_s;
  const uint64_t id = next_id_++;
  pending_.emplace(id, Pending{lane, std::move(done)});
  turn.actions.push_back(ComputeAction{lane, id, std::move(work), about_ns, what});
}

absl::Status LaneQueue::OnDone(uint64_t id, const absl::Status& status, Turn& turn) {
  const auto at = pending_.find(id);
  WS_CHECK(at != pending_.end());
  const Pending pending = std::move(at->second);
  pending_.erase(at);
  if (pending.lane == Lane::kCompute && --computing_ == 0) busy_s_ += turn.now_s - busy_since_s_;
  return pending.done(status, turn);
}

}  // namespace waferstream
