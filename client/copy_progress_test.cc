#include "client/copy_progress.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace waferstream {
namespace {

TEST(CopyProgressTest, SaysShareRateAndWhatIsLeft) {
  EXPECT_EQ(FormatCopy(0, 4096, absl::ZeroDuration()),
            "[                    ]  0%  0 B of 4.0 KiB");
  EXPECT_EQ(FormatCopy(1024, 4096, absl::Seconds(2)),
            "[=====               ] 25%  1.0 KiB of 4.0 KiB  512 B/s  6.00s left");
  EXPECT_EQ(FormatCopy(4096, 4096, absl::Seconds(4)),
            "[====================] 100%  4.0 KiB of 4.0 KiB  1.0 KiB/s  0.00s left");
  EXPECT_EQ(FormatCopy(0, 0, absl::ZeroDuration()), "[====================] 100%  0 B of 0 B");
}

class Written {
 public:
  Written() : file_(open_memstream(&text_, &bytes_)) {}
  ~Written() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() const { return file_; }
  std::string text() const {
    std::fflush(file_);
    return {text_, bytes_};
  }

 private:
  char* text_ = nullptr;
  size_t bytes_ = 0;
  std::FILE* file_;
};

TEST(CopyProgressTest, DrawsOnATerminalAloneAndSeldom) {
  const absl::Time start = absl::UnixEpoch();
  Written terminal, log;
  {
    CopyProgress on_terminal(terminal.file(), true, start), in_log(log.file(), false, start);
    for (int ms = 1; ms <= 150; ++ms) {
      const absl::Time now = start + absl::Milliseconds(ms);
      on_terminal.Update(ms, 150, now);
      in_log.Update(ms, 150, now);
    }
  }
  EXPECT_EQ(log.text(), "");
  EXPECT_EQ(terminal.text(),
            "\r[                    ]  1%  1 B of 150 B  1000 B/s  0.15s left\x1b[K"
            "\r[=============       ] 67%  101 B of 150 B  1000 B/s  0.05s left\x1b[K"
            "\r\x1b[K");
}

}  // namespace
}  // namespace waferstream
