// The TokenSource of a real job: its token files and their sample order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "data/job_data.h"
#include "data/mixture_order.h"
#include "data/sample_order.h"
#include "plan/plan.h"
#include "wafer_node/token_feeder.h"

namespace waferstream {

class FileTokens final : public TokenSource {
 public:
  // Opens the files of the plan's job, which must hold what the job records (data/job_data.h):
  // INVALID_ARGUMENT, one line naming field and file.
  static absl::StatusOr<std::unique_ptr<FileTokens>> Open(const Plan& plan, OpenTokenFiles& files);

  absl::Status CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) override;
  absl::Status CopyValidation(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) override;
  bool is_masked() const override;
  int32_t end_of_text(bool of_validation) const override;

 private:
  FileTokens(JobData data, std::unique_ptr<MixtureOrder> training,
             std::unique_ptr<SampleOrder> validation);
  absl::Status Copy(const char* field, const TokenFile& file, int64_t sample, int64_t context,
                    int32_t* ids, int32_t* targets);

  const JobData data_;
  const std::unique_ptr<MixtureOrder> training_;   // null: the job evaluates
  const std::unique_ptr<SampleOrder> validation_;  // null without a validation
  std::vector<uint32_t> sample_;
};

}  // namespace waferstream
