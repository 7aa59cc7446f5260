// Which of the processes that mpirun launched this is. Between MPI_Init and MPI_Finalize.
#pragma once

#define OMPI_SKIP_MPICXX 1
#include <mpi/mpi.h>

namespace waferstream {

inline int Rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

inline int Ranks() {
  int ranks = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  return ranks;
}

}  // namespace waferstream
