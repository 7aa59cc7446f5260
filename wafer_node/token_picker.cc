#include "wafer_node/token_picker.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/philox.h"
#include "base/status.h"

namespace waferstream {
namespace {

double TopPOf(const GenerateSpec& spec) {
  return spec.top_p() > 0 && spec.top_p() < 1 ? spec.top_p() : 1;
}

size_t KeptMax(const GenerateSpec& spec) {
  if (!(spec.temperature() > 0)) return 1;
  if (spec.top_k() > 0) return spec.top_k();
  // With no limit at all one is enough: noise comes first, and the largest wins.
  return TopPOf(spec) < 1 ? std::numeric_limits<size_t>::max() : 1;
}

}  // namespace

TokenPicker::TokenPicker(const GenerateSpec& spec)
    : temperature_(spec.temperature()),
      top_p_(TopPOf(spec)),
      kept_max_(KeptMax(spec)),
      sample_all_(spec.temperature() > 0 && spec.top_k() == 0 && top_p_ == 1),
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

std::vector<TokenPicker::Candidate> TokenPicker::Likeliest() const {
  std::vector<Candidate> sorted = kept_;
  if (top_p_ == 1) return sorted;
  std::sort(sorted.begin(), sorted.end(), Better);
  const auto weight = [&](const Candidate& c) {
    return std::exp((c.score - sorted.front().score) / temperature_);
  };
  double total = 0;
  for (const Candidate& c : sorted) total += weight(c);
  double mass = 0;
  size_t count = 0;
  while (count < sorted.size() && mass < top_p_ * total) mass += weight(sorted[count++]);
  sorted.resize(count);
  return sorted;
}

int32_t TokenPicker::Pick() const {
  WS_CHECK(!kept_.empty());
  if (kept_.size() == 1) return kept_.front().id;
  Candidate best{-HUGE_VAL, kept_.front().id};
  for (const Candidate& c : Likeliest()) {
    const Candidate noisy{WithNoise(c.score, c.id), c.id};
    if (Better(noisy, best)) best = noisy;
  }
  return best.id;
}

}  // namespace waferstream
