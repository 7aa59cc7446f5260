// The wafer node's process: makes a core for every epoch.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "data/job_data.h"
#include "node/role.h"
#include "wafer_node/compute_faults.h"

namespace waferstream {

class WaferRole final : public NodeRole {
 public:
  // The faults of the machine with this node id, for one epoch; null for a sound one.
  using MakeFaults = std::function<std::unique_ptr<ComputeFaults>(const std::string& node_id)>;

  // `disk`, which has the token files, must outlive it. `make_faults` is for test builds.
  explicit WaferRole(Disk& disk, MakeFaults make_faults = nullptr)
      : files_(disk), make_faults_(std::move(make_faults)) {}

  Role kind() const override { return WAFER; }
  // --kernel-isa, --show-kernel-isa.
  void AddFlags(CLI::App& app) override;
  std::string kernel_isa() const override;

  // Reserves the arena, opens and checks the data. The files stay open for the job's next epoch.
  absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest& request, const Plan& plan,
                                                    PrepareReply* reply) override;
  void Release() override { files_.Forget(); }

 private:
  std::string job_id_;    // whose epoch was prepared last
  OpenTokenFiles files_;  // of that job
  const MakeFaults make_faults_;
};

}  // namespace waferstream
