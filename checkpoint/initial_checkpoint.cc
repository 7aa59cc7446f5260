#include "checkpoint/initial_checkpoint.h"

#include <utility>
#include <vector>

#include "base/status.h"
#include "checkpoint/initialise.h"
#include "checkpoint/new_checkpoint.h"
#include "plan/model.h"

namespace waferstream {

absl::StatusOr<Manifest> WriteInitialCheckpoint(Disk& disk, const JobSpec& job,
                                                const std::string& path, Parallel& parallel) {
  ASSIGN_OR_RETURN(const std::vector<Parameter> parameters, BuildParameters(job.model()));
  Manifest manifest;
  manifest.job = job;
  return WriteNewCheckpoint(disk, path, parameters, std::move(manifest),
                            [&](int parameter, RowSpan rows, float* values) {
                              InitialiseRows(parameters[parameter], parameter,
                                             job.training().seed(), rows, parallel, values);
                              return absl::OkStatus();
                            });
}

}  // namespace waferstream
