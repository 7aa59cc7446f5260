// Which process of an MPI launch this one is.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace waferstream {

struct MpiRank {
  int rank = 0;
  int size = 1;  // ranks of the launch
};

// As mpirun (Open MPI, or others that speak PMI) or srun says in the environment; null: nobody
// launched this process so.
std::optional<MpiRank> RankFromEnvironment();

// Ranks other than 0 have no command line of their own to speak of: if this process is one, and
// `arguments` (without the program's name) call for mpi-run, it becomes a node and does not come
// back. An exit code, when that fails or there is nothing to do; null: it is not such a rank.
std::optional<int> BecomeRank(const std::vector<std::string>& arguments);

}  // namespace waferstream
