// Where the values of a program lie: two that never live together may have the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/program.h"

namespace waferstream {

// From the first operation that writes or reads a value to the last one, as passes run them.
struct Lifetime {
  int first = -1;  // -1: never
  int last = -1;
};

// By value of the program; of values that share their bytes, that whose they are has the lifetime
// of all. `ops` run one after the other.
std::vector<Lifetime> LifetimesOf(const Program& program,
                                  const std::vector<const std::vector<Op>*>& ops);

struct ValuePlaces {
  std::vector<size_t> offsets;  // by value of the program, within the bytes of one micro-batch
  size_t bytes = 0;             // of one micro-batch: the end of the last value
};

// For micro-batches of `tokens` tokens. First come those that live longer than most, from the
// longest on, each on top of those that live at the same time: what forward keeps for backward is a
// stack. The others follow, the largest first, each in the lowest gap above these. Every offset is
// a multiple of kWorkspaceAlignment, and so is `bytes`. Takes n log n for n values of which few
// live at once for a short time.
ValuePlaces PlaceValues(const Program& program, const std::vector<Lifetime>& lifetimes,
                        int64_t tokens);

// Bytes of one value, without what aligns the next one.
size_t BytesOf(const Value& value, int64_t tokens);

}  // namespace waferstream
