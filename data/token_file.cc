#include "data/token_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/regular_file.h"
#include "base/status.h"

namespace waferstream {
namespace {

static_assert(std::endian::native == std::endian::little, "tokens are read in place");

constexpr int32_t kLlmcMagic = 20240520;
constexpr int32_t kLlmcVersion = 1;  // later versions hold other token types
constexpr size_t kLlmcHeaderBytes = 1024;

int32_t ReadInt32(const std::byte* at) {
  int32_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

absl::Status FileError(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(const std::string& path) {
  if (!absl::EndsWith(path, ".bin") && !absl::EndsWith(path, ".txt")) {
    return FileError(path, "a token file ends in .bin (uint16 tokens) or .txt (text)");
  }
  const absl::StatusOr<Fd> fd = OpenRegularFile(path);
  if (!fd.ok()) return absl::InvalidArgumentError(fd.status().message());
  struct stat info;
  WS_CHECK(fstat(fd->get(), &info) == 0);
  const size_t bytes = static_cast<size_t>(info.st_size);
  if (bytes == 0) return FileError(path, "is empty");
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd->get(), 0);
  if (mapped == MAP_FAILED) {
    return FileError(path, absl::StrCat("cannot be mapped: ", strerror(errno)));
  }
  std::unique_ptr<TokenFile> file(
      new TokenFile(path, static_cast<const std::byte*>(mapped), bytes));
  RETURN_IF_ERROR(file->ReadFormat());
  return file;
}

TokenFile::~TokenFile() { munmap(const_cast<std::byte*>(mapped_), bytes_); }

absl::Status TokenFile::Error(const std::string& what) const { return FileError(path_, what); }

absl::Status TokenFile::ReadFormat() {
  if (absl::EndsWith(path_, ".txt")) {
    token_bytes_ = 1;
    tokens_ = static_cast<int64_t>(bytes_);
    return absl::OkStatus();
  }
  if (bytes_ >= sizeof(int32_t) && ReadInt32(mapped_) == kLlmcMagic) return ReadLlmcHeader();
  if (bytes_ % 2 != 0) {
    return Error(absl::StrCat(bytes_, " bytes are an odd number; tokens are uint16"));
  }
  tokens_ = static_cast<int64_t>(bytes_ / 2);
  return absl::OkStatus();
}

absl::Status TokenFile::ReadLlmcHeader() {
  if (bytes_ < kLlmcHeaderBytes) {
    return Error(absl::StrCat("is cut off inside its llm.c header: ", bytes_, " of ",
                              kLlmcHeaderBytes, " bytes"));
  }
  const int32_t version = ReadInt32(mapped_ + 4);
  const int32_t count = ReadInt32(mapped_ + 8);
  if (version != kLlmcVersion) {
    return Error(absl::StrCat("llm.c version ", version, "; only version 1 (uint16) is known"));
  }
  const size_t body = bytes_ - kLlmcHeaderBytes;
  if (count <= 0 || body != static_cast<size_t>(count) * 2) {
    return Error(absl::StrCat("its llm.c header promises ", count, " tokens (", int64_t{count} * 2,
                              " bytes), but ", body, " bytes follow"));
  }
  data_offset_ = kLlmcHeaderBytes;
  tokens_ = count;
  return absl::OkStatus();
}

void TokenFile::CopyTokens(int64_t first, std::span<uint16_t> out) const {
  const int64_t count = static_cast<int64_t>(out.size());
  WS_CHECK(first >= 0 && first <= tokens_ && count <= tokens_ - first);
  const std::byte* from = mapped_ + data_offset_ + first * token_bytes_;
  if (token_bytes_ == 2) {
    std::memcpy(out.data(), from, out.size_bytes());
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint16_t>(from[i]);
}

absl::Status TokenFile::CheckVocabulary(uint32_t vocab) const {
  const uint32_t id_max = token_bytes_ == 1 ? 0xFF : 0xFFFF;
  if (vocab > id_max) return absl::OkStatus();  // no token of this width can offend
  std::vector<uint16_t> chunk(1 << 16);
  for (int64_t first = 0; first < tokens_; first += static_cast<int64_t>(chunk.size())) {
    chunk.resize(std::min<int64_t>(static_cast<int64_t>(chunk.size()), tokens_ - first));
    CopyTokens(first, chunk);
    for (size_t i = 0; i < chunk.size(); ++i) {
      if (chunk[i] < vocab) continue;
      return Error(absl::StrCat("token ", first + static_cast<int64_t>(i), " is ", chunk[i],
                                "; the model's vocab is ", vocab));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> TokenFile::Samples(uint32_t context) const {
  WS_CHECK(context > 0);
  const int64_t samples = (tokens_ - 1) / context;
  if (samples < 1) {
    return Error(
        absl::StrCat(tokens_, " tokens are too few for one sample of context ", context, " + 1"));
  }
  return samples;
}

uint64_t TokenFile::Fingerprint() const {
  constexpr size_t half = kFingerprintBytesMax / 2;
  const size_t head = std::min(bytes_, half);
  const size_t tail = std::min(bytes_ - head, half);
  const uint64_t parts[] = {bytes_, Hash64(mapped_, head), Hash64(mapped_ + bytes_ - tail, tail)};
  return Hash64(parts, sizeof(parts));
}

}  // namespace waferstream
