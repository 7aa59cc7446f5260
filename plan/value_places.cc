#include "plan/value_places.h"

#include <algorithm>
#include <utility>

#include "plan/kernel_workspace.h"

namespace waferstream {
namespace {

// The highest end of what has its place, at every moment: a tree over time, of which each node has
// what was placed over the whole of its span, and the highest of what is below.
class Skyline {
 public:
  explicit Skyline(int moments) : moments_(moments), nodes_(4 * static_cast<size_t>(moments)) {}

  size_t Over(const Lifetime& lifetime) const { return Over(lifetime, 0, 0, moments_ - 1); }
  // `end` is not below what is over any moment of it.
  void Raise(const Lifetime& lifetime, size_t end) { Raise(lifetime, end, 0, 0, moments_ - 1); }

 private:
  struct Node {
    size_t whole = 0;
    size_t highest = 0;
  };

  size_t Over(const Lifetime& l, size_t node, int first, int last) const {
    if (l.last < first || last < l.first) return 0;
    if (l.first <= first && last <= l.last) return nodes_[node].highest;
    const int middle = first + (last - first) / 2;
    return std::max({nodes_[node].whole, Over(l, 2 * node + 1, first, middle),
                     Over(l, 2 * node + 2, middle + 1, last)});
  }

  void Raise(const Lifetime& l, size_t end, size_t node, int first, int last) {
    if (l.last < first || last < l.first) return;
    nodes_[node].highest = std::max(nodes_[node].highest, end);
    if (l.first <= first && last <= l.last) {
      nodes_[node].whole = std::max(nodes_[node].whole, end);
      return;
    }
    const int middle = first + (last - first) / 2;
    Raise(l, end, 2 * node + 1, first, middle);
    Raise(l, end, 2 * node + 2, middle + 1, last);
  }

  const int moments_;
  std::vector<Node> nodes_;
};

// What lives through no more operations than this passes: it is no layer's to keep.
constexpr int kPassing = 40;

int LengthOf(const Lifetime& lifetime) { return lifetime.last - lifetime.first; }

// What passes, once it has its place.
class Passing {
 public:
  explicit Passing(int moments) : alive_(moments) {}

  // The lowest offset from `lowest` on at which there is room for `bytes` all the while.
  size_t LowestGap(const Lifetime& lifetime, size_t lowest, size_t bytes) const {
    std::vector<Span> others;
    for (int moment = lifetime.first; moment <= lifetime.last; ++moment) {
      others.insert(others.end(), alive_[moment].begin(), alive_[moment].end());
    }
    std::sort(others.begin(), others.end());
    size_t offset = lowest;
    for (const auto& [begin, end] : others) {
      if (begin >= offset + bytes) break;
      offset = std::max(offset, end);
    }
    return offset;
  }

  void Place(const Lifetime& lifetime, size_t begin, size_t bytes) {
    for (int moment = lifetime.first; moment <= lifetime.last; ++moment) {
      alive_[moment].push_back({begin, begin + bytes});
    }
  }

 private:
  using Span = std::pair<size_t, size_t>;  // of bytes
  std::vector<std::vector<Span>> alive_;   // by moment
};

}  // namespace

size_t BytesOf(const Value& value, int64_t tokens) {
  return (value.per_token ? tokens : 1) * value.width * BytesOf(value.dtype);
}

std::vector<Lifetime> LifetimesOf(const Program& program,
                                  const std::vector<const std::vector<Op>*>& ops) {
  std::vector<Lifetime> lifetimes(program.values.size());
  int now = -1;
  for (const std::vector<Op>* pass : ops) {
    int last = -1;  // of the pass's operations, so far
    for (const Op& op : *pass) {
      if (op.operation == last) continue;
      last = op.operation;
      ++now;
      const Operation& operation = program.Of(op);
      for (const auto* values : {&operation.reads, &operation.writes}) {
        for (const int value : *values) {
          Lifetime& lifetime = lifetimes[program.values[value].storage];
          if (lifetime.first < 0) lifetime.first = now;
          lifetime.last = now;
        }
      }
    }
  }
  return lifetimes;
}

ValuePlaces PlaceValues(const Program& program, const std::vector<Lifetime>& lifetimes,
                        int64_t tokens) {
  const int count = static_cast<int>(program.values.size());
  std::vector<size_t> bytes(count, 0);
  for (int v = 0; v < count; ++v) {
    size_t& most = bytes[program.values[v].storage];
    most = std::max(most, RoundUp(BytesOf(program.values[v], tokens), kWorkspaceAlignment));
  }
  std::vector<int> stacked, passing;
  int moments = 1;
  for (int v = 0; v < count; ++v) {
    if (lifetimes[v].first < 0) continue;
    moments = std::max(moments, lifetimes[v].last + 1);
    (LengthOf(lifetimes[v]) > kPassing ? stacked : passing).push_back(v);
  }
  ValuePlaces places{.offsets = std::vector<size_t>(count, 0)};
  Skyline skyline(moments);
  std::stable_sort(stacked.begin(), stacked.end(),
                   [&](int a, int b) { return LengthOf(lifetimes[a]) > LengthOf(lifetimes[b]); });
  for (const int v : stacked) {
    places.offsets[v] = skyline.Over(lifetimes[v]);
    skyline.Raise(lifetimes[v], places.offsets[v] + bytes[v]);
  }
  std::stable_sort(passing.begin(), passing.end(),
                   [&](int a, int b) { return bytes[a] > bytes[b]; });
  Passing alive(moments);
  for (const int v : passing) {
    places.offsets[v] = alive.LowestGap(lifetimes[v], skyline.Over(lifetimes[v]), bytes[v]);
    alive.Place(lifetimes[v], places.offsets[v], bytes[v]);
  }
  for (int v = 0; v < count; ++v) {
    if (lifetimes[v].first >= 0)
      places.bytes = std::max(places.bytes, places.offsets[v] + bytes[v]);
  }
  for (int v = 0; v < count; ++v) places.offsets[v] = places.offsets[program.values[v].storage];
  return places;
}

}  // namespace waferstream
