#include "deploy/mpi/launch.h"

#define OMPI_SKIP_MPICXX 1  // the C interface alone
#include <mpi/mpi.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fabric/mpi_fabric.h"

namespace waferstream {
namespace {

bool AllOnOneHost(int size) {
  MPI_Comm here;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
  int size_here = 0;
  MPI_Comm_size(here, &size_here);
  MPI_Comm_free(&here);
  int all = size_here == size, everywhere = 0;
  MPI_Allreduce(&all, &everywhere, 1, MPI_INT, MPI_LAND, MPI_COMM_WORLD);
  return everywhere != 0;
}

}  // namespace

MpiProcess::MpiProcess() {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  WS_CHECK(provided >= MPI_THREAD_SERIALIZED);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  one_host_ = AllOnOneHost(size_);
}

MpiProcess::~MpiProcess() { MPI_Finalize(); }

std::string MpiProcess::host() const {
  std::string name(MPI_MAX_PROCESSOR_NAME, '\0');
  int length = 0;
  MPI_Get_processor_name(name.data(), &length);
  name.resize(length);
  return name;
}

MpiLaunch MpiProcess::Share(const MpiLaunch& launch) const {
  std::string bytes = launch.SerializeAsString();
  int length = static_cast<int>(bytes.size());
  MPI_Bcast(&length, 1, MPI_INT, 0, MPI_COMM_WORLD);
  bytes.resize(length);
  MPI_Bcast(bytes.data(), length, MPI_BYTE, 0, MPI_COMM_WORLD);
  MpiLaunch shared;
  WS_CHECK(shared.ParseFromString(bytes));
  return shared;
}

void MpiProcess::EndAll() const {
  for (int rank = 1; rank < size_; ++rank) EndMpiFabric(rank);
}

void MpiProcess::Abort(int exit_code) const {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();
}

std::string NodeIdOf(const MpiLaunch& launch, int rank) {
  const int memoryx = static_cast<int>(launch.memoryx());
  const int swarmx = static_cast<int>(launch.swarmx());
  const int index = rank - 1;
  if (index < memoryx) return absl::StrCat("memoryx-", index);
  if (index < memoryx + swarmx) return absl::StrCat("swarmx-", index - memoryx);
  return absl::StrCat("wafer-", index - memoryx - swarmx);
}

}  // namespace waferstream
