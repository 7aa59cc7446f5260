#include "rpc/async_calls.h"

namespace waferstream {

AsyncCalls::~AsyncCalls() {
  CancelAll();
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](int* attempts) { return *attempts == 0; }, &attempts_));
  }
  LetGo();
}

void AsyncCalls::PutAside(std::shared_ptr<const void> last) {
  absl::MutexLock lock(&mutex_);
  aside_.push_back(std::move(last));
}

void AsyncCalls::LetGo() {
  std::vector<std::shared_ptr<const void>> aside;  // ends without the lock
  absl::MutexLock lock(&mutex_);
  aside.swap(aside_);
}

void AsyncCalls::CancelAll() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : unanswered_) context->TryCancel();
}

bool AsyncCalls::Enter(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  if (cancelled_) return false;
  ++attempts_;
  unanswered_.insert(context);
  return true;
}

void AsyncCalls::Forget(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  unanswered_.erase(context);
}

void AsyncCalls::Leave() {
  absl::MutexLock lock(&mutex_);
  --attempts_;
}

bool AsyncCalls::cancelled() {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

}  // namespace waferstream
