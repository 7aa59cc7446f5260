#include "rpc/async_calls.h"

namespace waferstream {

AsyncCalls::~AsyncCalls() {
  CancelAll();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](std::set<grpc::ClientContext*>* calls) { return calls->empty(); }, &in_flight_));
}

void AsyncCalls::CancelAll() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : in_flight_) context->TryCancel();
}

bool AsyncCalls::Enter(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  if (!cancelled_) in_flight_.insert(context);
  return !cancelled_;
}

void AsyncCalls::Leave(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  in_flight_.erase(context);
}

bool AsyncCalls::cancelled() {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

}  // namespace waferstream
