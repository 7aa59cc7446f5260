// The families: each is one function from its shape to its model. How to add one:
// docs/ADDING_A_FAMILY.md.
#pragma once

#include "absl/status/statusor.h"
#include "plan/graph.h"
#include "proto/job.pb.h"

namespace waferstream {

// INVALID_ARGUMENT: an impossible shape, naming the field. The keys of `spec` are within their
// bounds.
absl::StatusOr<Model> BuildGpt2(const ModelSpec& spec);
absl::StatusOr<Model> BuildGptNeox(const ModelSpec& spec);
absl::StatusOr<Model> BuildGptj(const ModelSpec& spec);
absl::StatusOr<Model> BuildLlama(const ModelSpec& spec);
absl::StatusOr<Model> BuildMistral(const ModelSpec& spec);
absl::StatusOr<Model> BuildMixtral(const ModelSpec& spec);
absl::StatusOr<Model> BuildOlmo2(const ModelSpec& spec);
absl::StatusOr<Model> BuildQwen2(const ModelSpec& spec);
absl::StatusOr<Model> BuildQwen3(const ModelSpec& spec);
absl::StatusOr<Model> BuildQwen3Moe(const ModelSpec& spec);

}  // namespace waferstream
