#include "base/mark.h"

namespace waferstream {
namespace {

std::atomic<Mark*> all{nullptr};  // newest first; only ever grows

}  // namespace

Mark::Mark(const char* name) : name_(name) {
  next_ = all.load(std::memory_order_relaxed);
  while (!all.compare_exchange_weak(next_, this, std::memory_order_release)) {
  }
}

uint64_t Marks::Count(std::string_view name) {
  const auto counts = All();
  const auto at = counts.find(name);
  return at == counts.end() ? 0 : at->second;
}

std::map<std::string_view, uint64_t> Marks::All() {
  std::map<std::string_view, uint64_t> counts;
  for (const Mark* mark = all.load(std::memory_order_acquire); mark; mark = mark->next_) {
    counts[mark->name_] += mark->hits_.load(std::memory_order_relaxed);
  }
  return counts;
}

}  // namespace waferstream
