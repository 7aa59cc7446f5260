// Model files of other programs that nobody promised to be whole: refused, or every tensor lies
// within the file.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/memory_disk.h"
#include "checkpoint/open_model.h"
#include "checkpoint/torch_file.h"

namespace waferstream {
namespace {

constexpr char kPath[] = "/model";

void CheckRange(const TensorInfo& tensor, uint64_t bytes) {
  WS_CHECK(tensor.offset <= bytes && tensor.bytes <= bytes - tensor.offset);
}

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  MemoryDisk tree(0);
  MemoryDisk::View disk(tree);
  WS_CHECK(WriteSmallFile(disk, kPath, {reinterpret_cast<const char*>(data), size}).ok());
  const auto source = OpenModel(disk, kPath);
  if (source.ok()) {
    for (const ModelSource::Tensor& tensor : source->tensors) CheckRange(tensor.info, size);
  }
  const auto tensors = ReadTorchTable(**disk.OpenForReading(kPath));
  if (tensors.ok()) {
    for (const TensorInfo& tensor : *tensors) CheckRange(tensor, size);
  }
  return 0;
}
