// The TokenSource of a real job: its token files and their sample order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "data/job_data.h"
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

 private:
  struct Split {
    std::shared_ptr<const TokenFile> file;
    std::unique_ptr<SampleOrder> order;
  };
  FileTokens(Split training, Split validation);
  absl::Status Copy(const char* field, const Split& split, uint64_t n, int64_t context,
                    int32_t* ids, int32_t* targets);

  const Split training_;
  const Split validation_;  // empty without a validation
  std::vector<uint32_t> sample_;
};

}  // namespace waferstream
