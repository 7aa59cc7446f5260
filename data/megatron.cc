#include "data/megatron.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr size_t kPartBytes = size_t{1} << 20;
constexpr char kMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0};

// As it is in the file, little-endian and without gaps.
struct __attribute__((packed)) IndexHead {
  char magic[9];
  uint64_t version;
  uint8_t dtype;
  uint64_t sequences;
  uint64_t bounds;  // of documents: one more than there are
};
static_assert(sizeof(IndexHead) == 34);

struct Dtype {
  uint8_t code;
  uint32_t bytes;
  bool is_signed;
};
constexpr Dtype kDtypes[] = {{3, 2, true}, {4, 4, true}, {8, 2, false}};

template <typename Value>
absl::Status ReadValues(const File& file, uint64_t at, std::vector<Value>& values) {
  return file.ReadAt(at, values.data(), values.size() * sizeof(Value));
}

}  // namespace

absl::Status MegatronFile::Error(const std::string& path, absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::StatusOr<std::unique_ptr<MegatronFile>> MegatronFile::Open(Disk& disk,
                                                                 const std::string& bin) {
  std::unique_ptr<MegatronFile> file(new MegatronFile());
  file->path_ = bin;
  ASSIGN_OR_RETURN(file->file_, disk.OpenForReading(bin));
  ASSIGN_OR_RETURN(file->bytes_, file->file_->Size());
  RETURN_IF_ERROR(file->ReadIndex(disk, absl::StrCat(absl::StripSuffix(bin, ".bin"), ".idx")));
  return file;
}

absl::Status MegatronFile::ReadIndex(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForReading(path));
  ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
  IndexHead head;
  if (bytes < sizeof(head)) return Error(path, "is no index of Megatron's: it is too short");
  RETURN_IF_ERROR(file->ReadAt(0, &head, sizeof(head)));
  if (std::memcmp(head.magic, kMagic, sizeof(kMagic)) != 0 || head.version != 1) {
    return Error(path, "is no index of Megatron's (version 1)");
  }
  const auto* dtype = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                   [&](const Dtype& d) { return d.code == head.dtype; });
  if (dtype == std::end(kDtypes)) {
    return Error(path, absl::StrCat("tokens of type ", head.dtype,
                                    "; int16 (3), int32 (4) and uint16 (8) are read"));
  }
  token_bytes_ = dtype->bytes;
  is_signed_ = dtype->is_signed;
  // 4 bytes of length and 8 of place a sequence, 8 a bound; no overflow: each is below the size.
  if (head.sequences > bytes || head.bounds > bytes || head.bounds == 0 ||
      bytes != sizeof(head) + 12 * head.sequences + 8 * head.bounds) {
    return Error(path, absl::StrCat("promises ", head.sequences, " sequences and ", head.bounds,
                                    " bounds of documents, which ", bytes, " bytes do not hold"));
  }
  std::vector<uint64_t> places(head.sequences), documents(head.bounds);
  RETURN_IF_ERROR(ReadValues(*file, sizeof(head) + 4 * head.sequences, places));
  RETURN_IF_ERROR(ReadValues(*file, sizeof(head) + 12 * head.sequences, documents));
  places.push_back(bytes_);
  for (const uint64_t first : documents) {
    if (first > head.sequences) return Error(path, "a document begins behind the last sequence");
    bounds_.push_back(places[first]);
  }
  const bool in_order = std::is_sorted(bounds_.begin(), bounds_.end());
  const bool whole = std::all_of(bounds_.begin(), bounds_.end(),
                                 [&](uint64_t b) { return b <= bytes_ && b % token_bytes_ == 0; });
  if (!in_order || !whole) {
    return Error(path, absl::StrCat("its documents do not follow one another in ", path_));
  }
  return absl::OkStatus();
}

absl::Status MegatronFile::EachPart(
    const std::function<absl::Status(std::span<const uint32_t>, bool)>& take) const {
  std::vector<std::byte> raw;
  std::vector<uint32_t> tokens;
  for (size_t i = 0; i + 1 < bounds_.size(); ++i) {
    for (uint64_t at = bounds_[i]; at < bounds_[i + 1]; at += raw.size()) {
      raw.resize(std::min<uint64_t>(kPartBytes, bounds_[i + 1] - at));
      RETURN_IF_ERROR(file_->ReadAt(at, raw.data(), raw.size()));
      tokens.assign(raw.size() / token_bytes_, 0);
      const uint32_t sign = is_signed_ ? uint32_t{1} << (8 * token_bytes_ - 1) : 0;
      for (size_t k = 0; k < tokens.size(); ++k) {
        std::memcpy(&tokens[k], &raw[k * token_bytes_], token_bytes_);
        if ((tokens[k] & sign) == 0) continue;
        return Error(path_, absl::StrCat("token ", at / token_bytes_ + k, " is negative"));
      }
      RETURN_IF_ERROR(take(tokens, at + raw.size() == bounds_[i + 1]));
    }
  }
  return absl::OkStatus();
}

}  // namespace waferstream
