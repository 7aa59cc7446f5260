// The mpi adapter as a Fabric: for clusters that mpirun or srun launched.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fabric/fabric.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

// Nodes are reached by rank: the port of a DialRequest is one, its host only a name for messages.
// Who may join was decided when the job was launched, so Hello carries no proof. A rank that dies
// takes the whole launch with it: channels end when an end closes, never by silence.
//
// MPI is initialised with at least MPI_THREAD_SERIALIZED, by whoever makes this object, and
// finalised after its end. On the io_context's thread, which outlives it.
// `on_end`: rank 0 has called EndMpiFabric for this rank.
std::unique_ptr<Fabric> MakeMpiFabric(boost::asio::io_context& io, std::function<void()> on_end);

// Tells the fabric of that rank, which has one, that its work is done. Any thread, if no other one
// calls MPI.
void EndMpiFabric(int rank);

}  // namespace waferstream
