// What families with rotary positions have in common.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "plan/graph.h"
#include "proto/job.pb.h"

namespace waferstream {

// Heads of queries, of keys and values, and the columns of one.
struct Heads {
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t dim = 0;
  RotarySpec rotary;
};

// Of a model with its defaults filled in. INVALID_ARGUMENT: they do not go together, naming the
// field.
absl::StatusOr<Heads> HeadsOf(const ModelSpec& m);

// Of a key of which the family has one value. INVALID_ARGUMENT: the model says otherwise.
absl::Status CheckOnly(const char* key, double value, double only, const ModelSpec& m);

// Of a family in which every head has keys of its own, hidden / heads columns, and plain angles.
// INVALID_ARGUMENT: the model says otherwise, naming the field.
absl::Status CheckOwnKeys(const ModelSpec& m);

// Turns q and k and attends; `qkv` are q, k and v, each the columns of its heads.
int AttendTurned(const std::string& node, const Heads& heads, int64_t window, const ModelSpec& m,
                 const std::vector<int>& qkv, GraphBuilder& b);

}  // namespace waferstream
