// Marks on rare branches, so that a test can prove that it reached them:
//
//   WS_MARK("memoryx: adopted an unannounced commit");      // in the code
//   EXPECT_GT(Marks::Count("memoryx: adopted an unannounced commit"), 0u);  // in the test
//
// Counts are of the whole process and never go back; a test compares before and after. A mark costs
// one atomic add. Any thread may mark and read.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string_view>

namespace waferstream {

// One place in the code; lives for ever.
class Mark {
 public:
  // `name`: a literal. Several places may share a name; their counts are added.
  explicit Mark(const char* name);
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  void Hit() { hits_.fetch_add(1, std::memory_order_relaxed); }

 private:
  friend class Marks;
  const std::string_view name_;
  std::atomic<uint64_t> hits_{0};
  Mark* next_ = nullptr;  // in the list of all marks
};

class Marks {
 public:
  // How often marks of this name were passed; 0 if none ever was.
  static uint64_t Count(std::string_view name);
  // By name: every one that was passed.
  static std::map<std::string_view, uint64_t> All();
};

}  // namespace waferstream

#define WS_MARK(name)                         \
  do {                                        \
    static ::waferstream::Mark ws_mark(name); \
    ws_mark.Hit();                            \
  } while (false)
