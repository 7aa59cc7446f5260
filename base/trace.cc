#include "base/trace.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "base/errno_status.h"

namespace waferstream {
namespace {

class TraceFile {
 public:
  absl::Status Open(const std::string& path, const std::string& name) {
    absl::MutexLock lock(&mutex_);
    if (file_ != nullptr) return absl::FailedPreconditionError("a trace is open already");
    file_ = std::fopen(path.c_str(), "we");
    if (file_ == nullptr) return ErrnoStatus(errno, path);
    rows_.clear();
    separator_ = "[\n";
    Name("process_name", name, 0);
    on_ = true;
    return absl::OkStatus();
  }

  void Close() {
    absl::MutexLock lock(&mutex_);
    on_ = false;
    if (file_ == nullptr) return;
    std::fputs("\n]\n", file_);
    std::fclose(file_);
    file_ = nullptr;
  }

  bool on() const { return on_.load(std::memory_order_relaxed); }

  void Span(std::string_view row, std::string_view name, double begin_s, double end_s) {
    absl::MutexLock lock(&mutex_);
    if (file_ == nullptr) return;
    auto at = rows_.find(row);
    if (at == rows_.end()) {
      at = rows_.emplace(std::string(row), static_cast<int>(rows_.size()) + 1).first;
      Name("thread_name", row, at->second);
    }
    Begin();
    absl::FPrintF(file_, R"({"ph":"X","pid":%d,"tid":%d,"ts":%.3f,"dur":%.3f,"name":%s})", getpid(),
                  at->second, begin_s * 1e6, (end_s - begin_s) * 1e6, Quoted(name));
  }

 private:
  static std::string Quoted(std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  // An event.
  void Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::fputs(separator_, file_);
    separator_ = ",\n";
  }

  void Name(const char* what, std::string_view name, int row)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Begin();
    absl::FPrintF(file_, R"({"ph":"M","pid":%d,"tid":%d,"name":"%s","args":{"name":%s}})", getpid(),
                  row, what, Quoted(name));
  }

  std::atomic<bool> on_{false};
  absl::Mutex mutex_;
  std::FILE* file_ ABSL_GUARDED_BY(mutex_) = nullptr;
  const char* separator_ ABSL_GUARDED_BY(mutex_) = "";
  std::map<std::string, int, std::less<>> rows_ ABSL_GUARDED_BY(mutex_);  // thread ids
};

// Outlives every thread that may still trace.
TraceFile& TheTrace() {
  static auto* const trace = new TraceFile;
  return *trace;
}

}  // namespace

absl::Status OpenTrace(const std::string& path, const std::string& name) {
  static const int at_exit = std::atexit(CloseTrace);
  if (at_exit != 0) return absl::ResourceExhaustedError("no room for what is due at the exit");
  return TheTrace().Open(path, name);
}

void CloseTrace() { TheTrace().Close(); }

bool Traces() { return TheTrace().on(); }

void TraceSpan(std::string_view row, std::string_view name, double begin_s, double end_s) {
  if (Traces()) TheTrace().Span(row, name, begin_s, end_s);
}

double TraceClock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace waferstream
