// Calls that do not block: launched, answered on gRPC's threads, cancelled together.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

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
  // CANCELLED. Not to be called on one of gRPC's threads.
  template <typename Stub, typename Async, typename Request, typename Reply>
  void Make(std::shared_ptr<Stub> stub, Method<Async, Request, Reply> method, Request request,
            const CallTerms& terms, Done<Reply> done) {
    LetGo();
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
    std::shared_ptr<grpc::ClientContext> context;
    Reply reply;
  };

  template <typename Call>
  void Launch(std::shared_ptr<Call> call) {
    --call->attempts_left;
    if (call->context != nullptr) PutAside(std::move(call->context));  // of the attempt before
    call->context = std::make_shared<grpc::ClientContext>();
    call->context->set_deadline(call->deadline);
    call->context->set_wait_for_ready(call->wait_for_ready);
    if (!Enter(call->context.get())) return Finish(*call, absl::CancelledError("stopping"));
    auto* const methods = call->stub->async();
    (methods->*call->method)(
        call->context.get(), &call->request, &call->reply, [this, call](grpc::Status status) {
          Forget(call->context.get());
          const bool broken = status.error_code() == grpc::StatusCode::UNAVAILABLE;
          if (broken && call->attempts_left > 0 && !cancelled()) {
            Launch(call);
          } else {
            Finish(*call, ToAbsl(status));
          }
          Leave();
        });
  }

  // A channel must not end on one of gRPC's threads: the end of the last one of a process waits for
  // them. So what may hold the last reference to one is put aside, for those who make and end
  // calls.
  template <typename Call>
  void Finish(Call& call, absl::Status status) {
    call.done(std::move(status), call.reply);
    PutAside(std::move(call.context));
    PutAside(std::move(call.stub));
  }
  void PutAside(std::shared_ptr<const void> last);

  // Registers an attempt; false when calls are no longer made.
  bool Enter(grpc::ClientContext* context);
  // It is answered: there is nothing left to cancel.
  void Forget(grpc::ClientContext* context);
  // The last thing that an attempt does.
  void Leave();
  // Ends what was put aside.
  void LetGo();
  bool cancelled();

  absl::Mutex mutex_;
  int attempts_ ABSL_GUARDED_BY(mutex_) = 0;                           // entered, not left
  std::set<grpc::ClientContext*> unanswered_ ABSL_GUARDED_BY(mutex_);  // of these
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<const void>> aside_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace waferstream
