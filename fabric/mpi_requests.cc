#include "fabric/mpi_requests.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

// A message between two processes of one host takes some microseconds: for so many polls in a row,
// of well under a microsecond each, it is worth asking again at once. What takes longer, because
// somebody computes or the disk is slow, is asked for less and less often.
constexpr int kPollsAtOnce = 50;
constexpr int kPollsAPause = 8;  // before it is doubled
constexpr auto kFirstPause = std::chrono::microseconds(20);
constexpr auto kPauseMax = std::chrono::milliseconds(1);

std::string Describe(int error) {
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(error, text.data(), &length);
  text.resize(length);
  return text;
}

absl::StatusOr<MpiTransfer> ResultOf(const MPI_Status& status, int error) {
  int cancelled = 0;
  MPI_Test_cancelled(&status, &cancelled);
  if (cancelled) return absl::CancelledError("taken back");
  if (error != MPI_SUCCESS) {
    int kind = MPI_ERR_OTHER;
    MPI_Error_class(error, &kind);
    if (kind == MPI_ERR_TRUNCATE) return absl::DataLossError("more bytes arrived than were due");
    return absl::UnavailableError(absl::StrCat("MPI: ", Describe(error)));
  }
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  return MpiTransfer{.peer = status.MPI_SOURCE, .bytes = static_cast<size_t>(std::max(bytes, 0))};
}

}  // namespace

MpiRequests::MpiRequests(boost::asio::io_context& io, MPI_Comm comm)
    : io_(io), comm_(comm), timer_(io) {
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
}

MpiRequests::~MpiRequests() {
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (pending_[i].receives) MPI_Cancel(&requests_[i]);
    MPI_Request_free(&requests_[i]);
  }
}

void MpiRequests::Receive(int peer, int tag, void* buffer, size_t bytes, Done done) {
  WS_CHECK(bytes <= kBytesMax);
  MPI_Request request;
  MPI_Irecv(buffer, static_cast<int>(bytes), MPI_BYTE, peer, tag, comm_, &request);
  Add(request, {.peer = peer, .tag = tag, .receives = true, .done = std::move(done)});
}

void MpiRequests::Send(int peer, int tag, const void* buffer, size_t bytes, Done done) {
  WS_CHECK(bytes <= kBytesMax);
  MPI_Request request;
  MPI_Isend(buffer, static_cast<int>(bytes), MPI_BYTE, peer, tag, comm_, &request);
  Add(request, {.peer = peer, .tag = tag, .receives = false, .done = std::move(done)});
}

void MpiRequests::TakeBack(int peer, int tag) {
  for (size_t i = 0; i < requests_.size(); ++i) {
    const Pending& pending = pending_[i];
    if (pending.receives && pending.peer == peer && pending.tag == tag) MPI_Cancel(&requests_[i]);
  }
  PollSoon();
}

void MpiRequests::Discard(int peer, int tag) {
  while (true) {
    int found = 0;
    MPI_Message message;
    MPI_Status status;
    MPI_Improbe(peer, tag, comm_, &found, &message, &status);
    if (!found) return;
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    auto scratch = std::make_shared<std::vector<std::byte>>(bytes);
    MPI_Request request;
    MPI_Imrecv(scratch->data(), bytes, MPI_BYTE, &message, &request);
    Add(request, {.peer = peer,
                  .tag = tag,
                  .receives = true,
                  .done = [scratch](const absl::StatusOr<MpiTransfer>&) {}});
  }
}

void MpiRequests::Add(MPI_Request request, Pending pending) {
  requests_.push_back(request);
  pending_.push_back(std::move(pending));
  PollSoon();
}

void MpiRequests::PollSoon() {
  in_vain_ = 0;
  if (polls_) {
    timer_.cancel();  // which polls at once
    return;
  }
  polls_ = true;
  boost::asio::post(io_, PollIfAlive());
}

std::function<void()> MpiRequests::PollIfAlive() {
  return [this, weak = std::weak_ptr<int>(alive_)] {
    if (!weak.expired()) Poll();
  };
}

void MpiRequests::AwaitPoll() {
  if (requests_.empty()) return;
  polls_ = true;
  if (in_vain_ < kPollsAtOnce) return boost::asio::post(io_, PollIfAlive());
  const int doublings = std::min((in_vain_ - kPollsAtOnce) / kPollsAPause, 16);
  timer_.expires_after(
      std::min<std::chrono::nanoseconds>(kFirstPause * (1 << doublings), kPauseMax));
  timer_.async_wait([poll = PollIfAlive()](const boost::system::error_code&) { poll(); });
}

void MpiRequests::Poll() {
  polls_ = false;
  const std::vector<Told> done = Collect();
  in_vain_ = done.empty() ? in_vain_ + 1 : 0;
  for (const Told& told : done) told.done(told.result);
  if (!polls_) AwaitPoll();
}

std::vector<MpiRequests::Told> MpiRequests::Collect() {
  std::vector<Told> done;
  indices_.resize(requests_.size());
  statuses_.resize(requests_.size());
  int count = 0;
  const int error = MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count,
                                 indices_.data(), statuses_.data());
  if (count == MPI_UNDEFINED || count == 0) return done;
  for (int i = 0; i < count; ++i) {
    const int own = error == MPI_ERR_IN_STATUS ? statuses_[i].MPI_ERROR : error;
    done.push_back({std::move(pending_[indices_[i]].done), ResultOf(statuses_[i], own)});
  }
  DropDone();
  return done;
}

// What is done has left MPI_REQUEST_NULL behind.
void MpiRequests::DropDone() {
  size_t kept = 0;
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) continue;
    requests_[kept] = requests_[i];
    if (kept != i) pending_[kept] = std::move(pending_[i]);
    ++kept;
  }
  requests_.resize(kept);
  pending_.resize(kept);
}

}  // namespace waferstream
