#include "client/copy_progress.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/units.h"

namespace waferstream {
namespace {

constexpr size_t kBarColumns = 20;

}  // namespace

std::string FormatCopy(uint64_t done, uint64_t total, absl::Duration since) {
  const double share = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  std::string bar(static_cast<size_t>(share * kBarColumns), '=');
  bar.resize(kBarColumns, ' ');
  std::string line = absl::StrFormat("[%s] %2.0f%%  %s of %s", bar, 100 * share, HumanBytes(done),
                                     HumanBytes(total));
  const double seconds = absl::ToDoubleSeconds(since);
  if (done == 0 || seconds <= 0) return line;
  const double rate = static_cast<double>(done) / seconds;
  absl::StrAppend(&line, "  ", HumanBytes(std::llround(rate)), "/s  ",
                  HumanSeconds(static_cast<double>(total - done) / rate), " left");
  return line;
}

void CopyProgress::Update(uint64_t done, uint64_t total, absl::Time now) {
  if (!shows_ || !line_.IsDue(now)) return;
  line_.Show(FormatCopy(done, total, now - start_), now);
}

}  // namespace waferstream
