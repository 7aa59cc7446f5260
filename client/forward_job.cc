#include "client/forward_job.h"

#include "base/status.h"
#include "checkpoint/config.h"
#include "checkpoint/posix_disk.h"

namespace waferstream {

absl::StatusOr<JobSpec> ForwardJob(const std::string& name, const std::string& checkpoint) {
  JobSpec job;
  job.set_name(name);
  ASSIGN_OR_RETURN(*job.mutable_model(), ReadConfig(PosixDisk(), checkpoint));
  job.mutable_checkpoint()->set_from(checkpoint);
  job.mutable_checkpoint()->set_keep(1);
  job.mutable_training()->set_precision(F32);
  job.mutable_training()->set_tile_elements(1 << 20);
  ClusterSpec* cluster = job.mutable_cluster();
  cluster->set_wafers(1);
  cluster->set_memoryx(1);
  cluster->set_swarmx(1);
  cluster->set_fanout(4);
  cluster->set_planes(1);
  cluster->mutable_wafer()->set_profile("wse3");
  cluster->mutable_wafer()->set_sram_bytes(uint64_t{4} << 30);
  cluster->mutable_wafer()->set_kernel_threads(1);
  return job;
}

}  // namespace waferstream
