#include "rpc/stranger.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rpc/channel.h"

namespace waferstream {
namespace {

grpc::Status Call(grpc::GenericStub& stub, const std::string& method) {
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;  // as bytes, an empty message
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

}  // namespace

std::vector<std::string> MethodsOpenToStrangers(const std::string& address,
                                                const std::string& service) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  const google::protobuf::ServiceDescriptor* found = pool->FindServiceByName(service);
  WS_CHECK(found != nullptr && found->method_count() > 0);
  grpc::GenericStub stub(OpenChannel(address, kUserToController, {}));
  std::vector<std::string> open;
  for (int i = 0; i < found->method_count(); ++i) {
    const std::string name = found->method(i)->name();
    const grpc::Status status = Call(stub, absl::StrCat("/", service, "/", name));
    if (status.error_code() != grpc::UNAUTHENTICATED) open.push_back(name);
  }
  return open;
}

}  // namespace waferstream
