#include "client/terminal_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/str_format.h"

namespace waferstream {
namespace {

constexpr absl::Duration kRedrawEvery = absl::Milliseconds(100);

size_t Columns(std::FILE* out) {
  winsize size = {};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

bool TerminalLine::IsDue(absl::Time now) const { return !shown_ || now - last_at_ >= kRedrawEvery; }

void TerminalLine::Show(const std::string& line, absl::Time now) {
  // One column stays free: a full line would wrap, and a wrapped line cannot be rewritten.
  absl::FPrintF(out_, "\r%s\x1b[K", line.substr(0, Columns(out_) - 1));
  std::fflush(out_);
  shown_ = true;
  last_at_ = now;
}

void TerminalLine::Clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", out_);
  std::fflush(out_);
  shown_ = false;
}

bool TerminalLine::IsStderr() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) && term && std::strcmp(term, "dumb") != 0;
}

}  // namespace waferstream
