#include "client/interrupt.h"

#include <signal.h>

#include <atomic>

#include "base/own_process.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler must not take a lock");
std::atomic<bool> counting{false};
struct sigaction previous[3];

}  // namespace

InterruptCounter::InterruptCounter() {
  WS_CHECK(!counting.exchange(true));
  interrupts = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupts.fetch_add(1); };
  for (int i = 0; i < 3; ++i) {
    sigaction(kSignals[i], nullptr, &previous[i]);
    if (!IgnoredSignal(kSignals[i])) sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptCounter::~InterruptCounter() {
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &previous[i], nullptr);
  counting = false;
}

int InterruptCounter::count() const { return interrupts.load(); }

}  // namespace waferstream
