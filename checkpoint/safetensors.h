// The safetensors container: 8 bytes of little-endian header length, a JSON header padded with
// spaces, then the tensors' bytes without gaps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/disk.h"

namespace waferstream {

struct TensorInfo {
  std::string name;
  std::string dtype;  // "F32", "BF16", ...
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;
};

// Reads and checks the header, in order of offset. Trusts nothing: a length that the file does not
// have, a tensor outside the file, one that overlaps another, leaves a gap or has not the bytes of
// its shape is DATA_LOSS with one line that names file and tensor.
absl::StatusOr<std::vector<TensorInfo>> ReadTensorTable(const File& file);

// In which order a header has what it says of a tensor. Any reader takes both; kAsTheirLibrary
// makes the very file that transformers would write. kSorted stays for checkpoints: what several
// processes write, of two releases maybe, must be the same.
enum class KeyOrder { kSorted, kAsTheirLibrary };

// Gives every tensor its offset, in the order of the list, and returns the header's bytes, length
// included. `bytes` of each tensor must be set. Same list, same bytes.
std::string LayOutTensors(std::vector<TensorInfo>& tensors, KeyOrder keys = KeyOrder::kSorted);

// "[768, 2304]".
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace waferstream
