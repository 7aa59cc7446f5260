// gRPC by certificate. Private to rpc.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "base/tls_identity.h"

namespace grpc {
class ServerContextBase;
}

namespace waferstream {

// A caller that believes only an authority's certificate for `host` whose role is among `roles`.
// Files that are replaced are taken up within seconds.
std::shared_ptr<grpc::ChannelCredentials> TlsForCaller(std::shared_ptr<const TlsIdentity> identity,
                                                       const std::string& host,
                                                       std::vector<std::string> roles);

// Callers show a certificate of the authority, or are not heard.
std::shared_ptr<grpc::ServerCredentials> TlsForServer(std::shared_ptr<const TlsIdentity> identity);

// Of the caller, by its certificate; empty: it has no role, or there is no TLS.
std::string CallerRole(const grpc::ServerContextBase& context);

// Whether a certificate for `names` is one for `host`: the same name or address, or, of a name that
// begins with "*.", any one label in its place.
bool IsFor(const std::vector<std::string>& names, const std::string& host);

}  // namespace waferstream
