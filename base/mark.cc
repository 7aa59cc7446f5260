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
  uint64_t count = 0;
  for (const Mark* mark = all.load(std::memory_order_acquire); mark; mark = mark->next_) {
    if (mark->name_ == name) count += mark->hits_.load(std::memory_order_relaxed);
  }
  return count;
}

}  // namespace waferstream
