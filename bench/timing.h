// Time of code that runs on one thread.
#pragma once

#include <time.h>

#include <algorithm>
#include <functional>

namespace waferstream {

// Of the calling thread: other load on the machine disturbs little.
inline double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// The best of `repetitions`, after one that does not count; each goes on for at least 10 ms.
inline double BestSeconds(const std::function<void()>& run, int repetitions = 15) {
  constexpr double kSecondsAtLeast = 0.01;
  run();
  double best = 1e9;
  for (int r = 0; r < repetitions; ++r) {
    const double start = ThreadSeconds();
    int runs = 0;
    double spent = 0;
    do {
      run();
      ++runs;
      spent = ThreadSeconds() - start;
    } while (spent < kSecondsAtLeast);
    best = std::min(best, spent / runs);
  }
  return best;
}

}  // namespace waferstream
