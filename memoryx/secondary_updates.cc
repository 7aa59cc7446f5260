#include "memoryx/secondary_updates.h"

namespace waferstream {

void SecondaryUpdates::AddAll() {
  waiting_.clear();  // none is older than one commit
  for (size_t local = 0; local < store_.tiles().size(); ++local) {
    if (!store_.IsPrimary(static_cast<int>(local))) waiting_.push_back(static_cast<int>(local));
  }
}

void SecondaryUpdates::Pump(Turn& turn) {
  while (!waiting_.empty() && lanes_.idle()) {
    const int local = waiting_.front();
    waiting_.pop_front();
    if (updates_.StateOf(local) == TileUpdates::State::kDue) {
      updates_.Run(
          local, lanes_, [] {}, turn);
    }
  }
}

}  // namespace waferstream
