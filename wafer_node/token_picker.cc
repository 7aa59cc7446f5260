#include "wafer_node/token_picker.h"

#include <algorithm>
#include <cmath>

#include "base/philox.h"
#include "base/status.h"

namespace waferstream {

TokenPicker::TokenPicker(const GenerateSpec& spec)
    : temperature_(spec.temperature()),
      kept_max_(spec.temperature() > 0 && spec.top_k() > 0 ? spec.top_k() : 1),
      sample_all_(spec.temperature() > 0 && spec.top_k() == 0),
      seed_(spec.seed()) {}

bool TokenPicker::Better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

double TokenPicker::WithNoise(double logit, int32_t id) const {
  const uint32_t bits = Philox(seed_, Purpose::kSample, index_, static_cast<uint64_t>(id))[0];
  const double uniform = (bits + 0.5) * 0x1p-32;  // never 0 or 1: both logarithms are finite
  return logit / temperature_ - std::log(-std::log(uniform));
}

void TokenPicker::Start(uint64_t index) {
  index_ = index;
  kept_.clear();
}

void TokenPicker::Offer(const Candidate& candidate) {
  if (kept_.size() == kept_max_) {
    if (!Better(candidate, kept_.front())) return;
    std::pop_heap(kept_.begin(), kept_.end(), Better);
    kept_.pop_back();
  }
  kept_.push_back(candidate);
  std::push_heap(kept_.begin(), kept_.end(), Better);
}

void TokenPicker::Add(int64_t first_id, const float* logits, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t id = static_cast<int32_t>(first_id + i);
    Offer({sample_all_ ? WithNoise(logits[i], id) : logits[i], id});
  }
}

int32_t TokenPicker::Pick() const {
  WS_CHECK(!kept_.empty());
  if (kept_.size() == 1) return kept_.front().id;
  Candidate best{-HUGE_VAL, kept_.front().id};
  for (const Candidate& c : kept_) {
    const Candidate noisy{WithNoise(c.score, c.id), c.id};
    if (Better(noisy, best)) best = noisy;
  }
  return best.id;
}

}  // namespace waferstream
