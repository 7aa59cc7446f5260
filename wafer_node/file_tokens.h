// The TokenSource of a real job: its token files and their sample order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "data/sample_order.h"
#include "data/token_file.h"
#include "proto/job.pb.h"
#include "wafer_node/token_feeder.h"

namespace waferstream {

class FileTokens final : public TokenSource {
 public:
  // Opens the files of the job and reads every token once, to check it.
  // INVALID_ARGUMENT, one line naming the file: unreadable, too short for one sample, or a token
  // that is not in the vocabulary.
  static absl::StatusOr<std::unique_ptr<FileTokens>> Open(const JobSpec& job);

  void CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) override;
  void CopyValidation(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) override;

 private:
  struct Split {
    std::unique_ptr<TokenFile> file;
    std::unique_ptr<SampleOrder> order;
  };
  static absl::StatusOr<Split> OpenSplit(const JobSpec& job, const std::string& path,
                                         Shuffle shuffle);
  FileTokens(Split training, Split validation);
  void Copy(const Split& split, uint64_t n, int64_t context, int32_t* ids, int32_t* targets);

  const Split training_;
  const Split validation_;  // empty without a validation
  std::vector<uint16_t> sample_;
};

}  // namespace waferstream
