#include "client/mpi_rank.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "client/binaries.h"
#include "client/exit_code.h"

namespace waferstream {
namespace {

// Of a launcher; `step`, if any, must be set, too.
struct Names {
  const char* rank;
  const char* size;
  const char* step;
};

// srun sets the last ones; so does a batch script's shell, which is no rank, but has no step.
constexpr Names kNames[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", nullptr},
                            {"PMI_RANK", "PMI_SIZE", nullptr},
                            {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID"}};

bool ReadNumber(const char* name, int& number) {
  const char* text = getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &number);
}

bool Has(const std::vector<std::string>& arguments, const std::string& argument) {
  return std::find(arguments.begin(), arguments.end(), argument) != arguments.end();
}

}  // namespace

std::optional<MpiRank> RankFromEnvironment() {
  for (const Names& names : kNames) {
    MpiRank found;
    if (names.step != nullptr && getenv(names.step) == nullptr) continue;
    if (ReadNumber(names.rank, found.rank) && ReadNumber(names.size, found.size)) return found;
  }
  return std::nullopt;
}

std::optional<int> BecomeRank(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] != "mpi-run") return std::nullopt;
  const std::optional<MpiRank> rank = RankFromEnvironment();
  if (!rank.has_value() || rank->rank == 0) return std::nullopt;
  if (Has(arguments, "--help") || Has(arguments, "-h")) return 0;  // rank 0 says it
  const absl::StatusOr<std::string> binary = FindMpiBinary();
  if (!binary.ok()) {
    std::fprintf(stderr, "waferctl: %s\n", std::string(binary.status().message()).c_str());
    return static_cast<int>(ExitCodeOf(binary.status()));
  }
  execl(binary->c_str(), binary->c_str(), "node", nullptr);
  std::fprintf(stderr, "waferctl: %s: %s\n", binary->c_str(), std::strerror(errno));
  return static_cast<int>(ExitCode::kFailed);
}

}  // namespace waferstream
