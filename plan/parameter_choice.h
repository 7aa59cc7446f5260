// What a training makes of each parameter of its model: whether it is trained, whether it is
// decayed, and how it is cut; by the job's patterns and what its optimizer needs.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"
#include "plan/graph.h"
#include "plan/model.h"
#include "proto/job.pb.h"

namespace waferstream {

using Patterns = google::protobuf::RepeatedPtrField<std::string>;

// The keys whose texts are patterns of names of parameters: training.freeze, and so on.
std::vector<absl::string_view> PatternKeys();

// Of a job's patterns under such a key. A pattern is of a parameter's name, with its prefix or
// without. INVALID_ARGUMENT, "<key>: ...": a pattern matches none of the parameters; with the name
// that it was probably meant to match, if there is one.
absl::Status CheckPatterns(absl::string_view key, const TrainingSpec& training,
                           const std::vector<Parameter>& parameters);

// Sets what is trained and decayed, and, for optimizers that need it, makes a matrix one tile and
// says which are Muon's own. Of a job with adapters nothing else is trained. The parameters are
// those of the graph, not yet cut into tiles. INVALID_ARGUMENT: as CheckPatterns; nothing is
// trained; a matrix that the optimizer needs whole is larger than a tile may be.
absl::Status ChooseParameters(const JobSpec& job, const Graph& graph,
                              std::vector<Parameter>& parameters);

}  // namespace waferstream
