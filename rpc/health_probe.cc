#include "rpc/health_probe.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "rpc/channel.h"

namespace waferstream {

// HealthCheckRequest and HealthCheckResponse have one field each, number 1: a name (of fewer than
// 128 bytes), a state.
Health Ask(uint16_t port, const std::string& service) {
  std::string request;
  if (!service.empty()) {
    request = absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  }
  const grpc::Slice slice(request);
  const grpc::ByteBuffer bytes(&slice, 1);
  grpc::GenericStub stub(OpenChannel(absl::StrCat("127.0.0.1:", port), kUserToController, {}));
  grpc::ClientContext context;
  grpc::ByteBuffer reply;
  absl::Notification done;
  grpc::Status status;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &bytes, &reply,
                 [&](grpc::Status ended) {
                   status = std::move(ended);
                   done.Notify();
                 });
  done.WaitForNotification();
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return kUnknownService;
  EXPECT_TRUE(status.ok()) << status.error_message();
  grpc::Slice answer;
  if (!reply.DumpToSingleSlice(&answer).ok() || answer.size() == 0) return kUnknown;
  return static_cast<Health>(answer.begin()[1]);
}

bool Becomes(uint16_t port, const std::string& service, Health health) {
  for (int i = 0; i < 3000; ++i) {
    if (Ask(port, service) == health) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

}  // namespace waferstream
