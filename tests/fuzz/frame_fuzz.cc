// Frame headers: any 64 bytes are refused or survive the way there and back, and a receiver that
// expects another frame says so.
#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "core/stream_cursor.h"
#include "fabric/frame.h"
#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

const Plan& SmallPlan() {
  static const Plan* const plan = new Plan(*Compile(TestJob(), RequestedShape(TestJob())));
  return *plan;
}

void CheckRoundTrip(const FrameHeader& header) {
  const auto again = Decode(Encode(header));
  WS_CHECK(again.ok());
  WS_CHECK(Encode(*again) == Encode(header));
  WS_CHECK(!Describe(header).empty());
  WS_CHECK(FrameCrc(header, nullptr) == FrameCrc(*again, nullptr));
}

// OK only for the frame that is due, but for what belongs to the fabric.
void CheckCursors(const FrameHeader& got) {
  const TileCursor tiles(SmallPlan(), 0, TileCursor::kAnyone, 1, 0);
  const FrameHeader due = tiles.Header();
  if (!CheckExpected(due, got).ok()) return;
  WS_CHECK(got.kind == due.kind && got.tile == due.tile && got.length == due.length &&
           got.epoch == due.epoch && got.step == due.step && got.wave == due.wave);
}

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  HeaderBytes bytes = {};
  std::memcpy(bytes.data(), data, std::min(size, bytes.size()));
  const auto header = Decode(bytes);
  if (!header.ok()) return 0;
  CheckCursors(*header);
  FrameHeader empty = *header;
  empty.length = 0;  // there is no payload to take a checksum of
  CheckRoundTrip(empty);
  WS_CHECK(Encode(*header).size() == bytes.size());
  return 0;
}
