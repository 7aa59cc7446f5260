// R's archives: the input as a file of records, and, because mutation finds no zlib checksum, also
// as one unpacked record.
#include <string_view>

#include "data/r_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)ParseStrings(bytes);
  const auto records = UnpackRecords(bytes);
  if (!records.ok()) return 0;
  for (const std::string& record : *records) (void)ParseStrings(record);
  return 0;
}
