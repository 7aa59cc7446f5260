// Where the programs are that a local cluster is made of.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

struct RoleBinaries {
  std::string controller;
  std::string memoryx;
  std::string swarmx;
  std::string wafer_node;
};

// Looks beside this program for waferstream-ROLE and then for ROLE (an installation), and then in
// ../ROLE/ROLE (a build tree). NOT_FOUND names what is missing and where it was looked for.
absl::StatusOr<RoleBinaries> FindRoleBinaries();

// What a rank of `waferctl mpi-run` is: waferstream-mpi beside this program, or in a build tree
// ../deploy/mpi. NOT_FOUND as above.
absl::StatusOr<std::string> FindMpiBinary();

// The same as FindRoleBinaries, from the folder `beside`.
absl::StatusOr<RoleBinaries> FindRoleBinariesFrom(const std::string& beside);

}  // namespace waferstream
