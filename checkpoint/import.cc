#include "checkpoint/import.h"

#include <utility>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/new_checkpoint.h"
#include "checkpoint/open_model.h"
#include "plan/model.h"

namespace waferstream {

absl::StatusOr<Manifest> ImportCheckpoint(Disk& disk, const std::string& from,
                                          const std::string& to, const OnProgress& on_progress) {
  Manifest manifest;
  // No job made it. Where it came from is what a job would have started from.
  manifest.job.set_name("import");
  manifest.job.mutable_checkpoint()->set_from(from);
  ASSIGN_OR_RETURN(*manifest.job.mutable_model(), ReadModel(disk, from));
  ASSIGN_OR_RETURN(const std::vector<Parameter> parameters, BuildParameters(manifest.job.model()));
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(disk, from, manifest.job.model(), parameters, {}));
  RETURN_IF_ERROR(reader.CheckTiedHead());
  uint64_t done = 0, total = 0;
  for (const Parameter& p : parameters) total += p.rows * p.cols * sizeof(float);
  const auto copy = [&](int parameter, RowSpan rows, float* values) {
    RETURN_IF_ERROR(reader.ReadFinite(parameter, rows, values));
    done += rows.count * parameters[parameter].cols * sizeof(float);
    if (on_progress) on_progress(done, total);
    return absl::OkStatus();
  };
  return WriteNewCheckpoint(disk, to, parameters, std::move(manifest), copy);
}

}  // namespace waferstream
