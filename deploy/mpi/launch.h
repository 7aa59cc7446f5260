// What the ranks of one MPI launch do together.
#pragma once

#include <string>

#include "proto/launch.pb.h"

namespace waferstream {

// MPI for the life of this object, which is the process's main thread's. Stop signals are blocked
// before, because MPI makes threads.
class MpiProcess {
 public:
  MpiProcess();
  // Ends MPI in order, which waits for all ranks to do so.
  ~MpiProcess();
  MpiProcess(const MpiProcess&) = delete;
  MpiProcess& operator=(const MpiProcess&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Whether all ranks are on one host.
  bool one_host() const { return one_host_; }
  // The name by which this rank's host is known.
  std::string host() const;

  // Rank 0's launch, told to all. Every rank calls it, once.
  MpiLaunch Share(const MpiLaunch& launch) const;

  // Rank 0: every other rank's fabric (fabric/mpi_fabric.h) is told that the job is over.
  void EndAll() const;
  // Ends every rank of the launch now, with this exit code, after a failure that all must share.
  [[noreturn]] void Abort(int exit_code) const;

 private:
  int rank_ = 0;
  int size_ = 1;
  bool one_host_ = true;
};

// "wafer-1" of rank 4, as `waferctl run` names nodes. `rank` is within the launch, and not 0.
std::string NodeIdOf(const MpiLaunch& launch, int rank);

}  // namespace waferstream
