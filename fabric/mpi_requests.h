// MPI on a loop: what does not block, and who is told when it is done. Private to the mpi adapter.
#pragma once

#define OMPI_SKIP_MPICXX 1  // the C interface alone
#include <mpi/mpi.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waferstream {

// What has arrived, or left.
struct MpiTransfer {
  int peer = 0;
  size_t bytes = 0;
};

// Role: the transfers in progress of one process. MPI makes progress only while somebody calls it,
// so the loop asks it: at once again while something happens, then ever less often, at least once a
// kPauseMax while anything is awaited. The cores belong to those who compute.
// Thread rule: everything on the loop's thread; MPI_THREAD_SERIALIZED is enough.
class MpiRequests {
 public:
  // DATA_LOSS: what arrived is longer than the buffer. UNAVAILABLE: else. Never called from inside
  // the call that asked.
  using Done = std::function<void(const absl::StatusOr<MpiTransfer>&)>;

  // Both outlive the object.
  MpiRequests(boost::asio::io_context& io, MPI_Comm comm);
  // Nobody is told any more. Receives are taken back; sends are left to MPI, whose end waits for
  // them or not.
  ~MpiRequests();
  MpiRequests(const MpiRequests&) = delete;
  MpiRequests& operator=(const MpiRequests&) = delete;

  // The buffer lives until `done`, or until the receive is taken back. `peer`: a rank, or
  // MPI_ANY_SOURCE. At most INT_MAX bytes.
  void Receive(int peer, int tag, void* buffer, size_t bytes, Done done);
  void Send(int peer, int tag, const void* buffer, size_t bytes, Done done);
  // Takes back the receives of this tag that nothing has arrived for, in vain for those that a
  // message is on its way to. Whoever waits for one taken back is told CANCELLED.
  void TakeBack(int peer, int tag);
  // Receives, and throws away, every message of this tag that the peer has sent so far.
  void Discard(int peer, int tag);

  // Bytes of a message at most.
  static constexpr size_t kBytesMax = size_t{1} << 30;

 private:
  struct Pending {
    int peer = 0;
    int tag = 0;
    bool receives = false;
    Done done;
  };

  struct Told {
    Done done;
    absl::StatusOr<MpiTransfer> result;
  };

  void Add(MPI_Request request, Pending pending);
  void PollSoon();
  void AwaitPoll();
  void Poll();
  std::function<void()> PollIfAlive();
  // Moves out what is done.
  std::vector<Told> Collect();
  void DropDone();

  boost::asio::io_context& io_;
  const MPI_Comm comm_;
  boost::asio::steady_timer timer_;
  std::vector<MPI_Request> requests_;  // with pending_, by index
  std::vector<Pending> pending_;
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>();  // ends with the object
  bool polls_ = false;                                          // a poll is due
  int in_vain_ = 0;  // polls in a row in which nothing was done
};

}  // namespace waferstream
