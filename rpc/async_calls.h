// Calls that do not block: launched, answered on gRPC's threads, cancelled together.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rpc/status.h"

namespace waferstream {

struct CallTerms {
  absl::Duration timeout;       // of all attempts together
  int attempts = 1;             // more: made again when the connection breaks
  bool wait_for_ready = false;  // for the port to open
};

// The calls of one client that are in progress. Thread-safe.
class AsyncCalls {
 public:
  AsyncCalls() = default;
  // Cancels; every call is answered before this returns.
  ~AsyncCalls();

  // A method of Service::Stub::async().
  template <typename Async, typename Request, typename Reply>
  using Method = void (Async::*)(grpc::ClientContext*, const Request*, Reply*,
                                 std::function<void(grpc::Status)>);
  template <typename Reply>
  using Done = std::function<void(absl::Status, Reply&)>;

  // `done` is called once, on one of gRPC's threads, which it must not block, or at once with
  // CANCELLED. What `stub` points to lives until then.
  template <typename Stub, typename Async, typename Request, typename Reply>
  void Make(std::shared_ptr<Stub> stub, Method<Async, Request, Reply> method, Request request,
            const CallTerms& terms, Done<Reply> done) {
    auto call = std::make_shared<Flight<Stub, Method<Async, Request, Reply>, Request, Reply>>();
    call->stub = std::move(stub);
    call->method = method;
    call->request = std::move(request);
    call->done = std::move(done);
    call->deadline = std::chrono::system_clock::now() + absl::ToChronoNanoseconds(terms.timeout);
    call->wait_for_ready = terms.wait_for_ready;
    call->attempts_left = terms.attempts;
    Launch(std::move(call));
  }

  // Ends all calls, and every later one at once, with CANCELLED.
  void CancelAll();

 private:
  // One call from its first attempt to its answer.
  template <typename Stub, typename Pointer, typename Request, typename Reply>
  struct Flight {
    std::shared_ptr<Stub> stub;
    Pointer method = nullptr;
    Request request;
    Done<Reply> done;
    std::chrono::system_clock::time_point deadline;
    bool wait_for_ready = false;
    int attempts_left = 0;
    std::unique_ptr<grpc::ClientContext> context;
    Reply reply;
  };

  template <typename Call>
  void Launch(std::shared_ptr<Call> call) {
    --call->attempts_left;
    call->context = std::make_unique<grpc::ClientContext>();
    call->context->set_deadline(call->deadline);
    call->context->set_wait_for_ready(call->wait_for_ready);
    if (!Enter(call->context.get())) {
      return call->done(absl::CancelledError("stopping"), call->reply);
    }
    auto* const methods = call->stub->async();
    (methods->*call->method)(
        call->context.get(), &call->request, &call->reply, [this, call](grpc::Status status) {
          // The context is replaced by a further attempt, but is registered until this one is over,
          // so that the destructor waits for the answer, too.
          const std::unique_ptr<grpc::ClientContext> context = std::move(call->context);
          const bool broken = status.error_code() == grpc::StatusCode::UNAVAILABLE;
          if (broken && call->attempts_left > 0 && !cancelled()) {
            Launch(call);
          } else {
            call->done(ToAbsl(status), call->reply);
            // Whoever waits for Leave may own the channel. It must not end here: gRPC would wait
            // for this very thread.
            call->stub = nullptr;
          }
          Leave(context.get());
        });
  }

  // Registers a call in progress; false when calls are no longer made.
  bool Enter(grpc::ClientContext* context);
  void Leave(grpc::ClientContext* context);
  bool cancelled();

  absl::Mutex mutex_;
  std::set<grpc::ClientContext*> in_flight_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace waferstream
