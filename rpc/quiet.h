// gRPC's own lines (a port in use, a peer that is no gRPC) say what ours say, and would bury them.
#pragma once

namespace waferstream {

// gRPC logs nothing from now on, unless $GRPC_VERBOSITY asks for it.
void QuietGrpc();

}  // namespace waferstream
