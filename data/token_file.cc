#include "data/token_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"

namespace waferstream {
namespace {

static_assert(std::endian::native == std::endian::little, "tokens are read in place");

constexpr size_t kLlmcHeaderBytes = 1024;
// The header is in one chunk, and no token in two.
static_assert(TokenFile::kChunkBytes >= kLlmcHeaderBytes && TokenFile::kChunkBytes % 4 == 0);

int32_t ReadInt32(const std::byte* at) {
  int32_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

absl::Status FileError(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::Status OpenError(const absl::Status& status) {
  return MayPass(status) ? absl::UnavailableError(status.message())
                         : absl::InvalidArgumentError(status.message());
}

uint32_t LargestOf(std::span<const std::byte> bytes, int token_bytes, uint32_t id_bits) {
  uint32_t largest = 0;
  if (token_bytes == 1) {
    for (const std::byte b : bytes) largest = std::max(largest, static_cast<uint32_t>(b));
    return largest;
  }
  for (size_t i = 0; i + token_bytes <= bytes.size(); i += token_bytes) {
    uint32_t token = 0;
    std::memcpy(&token, &bytes[i], token_bytes);
    largest = std::max(largest, token & id_bits);
  }
  return largest;
}

}  // namespace

absl::StatusOr<std::optional<TokenFileHeader>> ReadTokenHeader(Disk& disk,
                                                               const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForReading(path));
  ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
  std::array<std::byte, sizeof(TokenFileHeader)> head;
  if (bytes < head.size()) return std::nullopt;
  RETURN_IF_ERROR(file->ReadAt(0, head.data(), head.size()));
  return HeaderIn(head);
}

const TokenFile::Header TokenFile::kHeaders[2] = {{20240520, 1, 2}, {20240801, 7, 4}};

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(Disk& disk, const std::string& path,
                                                           uint32_t vocab) {
  if (!absl::EndsWith(path, ".bin") && !absl::EndsWith(path, ".txt")) {
    return FileError(path, "a token file ends in .bin (uint16 or uint32 tokens) or .txt (text)");
  }
  auto opened = disk.OpenForReading(path);
  if (!opened.ok()) return OpenError(opened.status());
  const absl::StatusOr<FileStamp> stamp = (*opened)->Stamp();
  const absl::StatusOr<uint64_t> bytes = (*opened)->Size();
  if (!stamp.ok()) return OpenError(stamp.status());
  if (!bytes.ok()) return OpenError(bytes.status());
  if (*bytes == 0) return FileError(path, "is empty");
  std::unique_ptr<TokenFile> file(
      new TokenFile(disk, path, *std::move(opened), *stamp, *bytes, vocab > (1 << 16) ? 4 : 2));
  RETURN_IF_ERROR(file->Scan());
  return file;
}

TokenFile::TokenFile(Disk& disk, std::string path, std::unique_ptr<File> file,
                     const FileStamp& opened, size_t bytes, int token_bytes)
    : disk_(disk),
      path_(std::move(path)),
      file_(std::move(file)),
      opened_(opened),
      bytes_(bytes),
      token_bytes_(token_bytes) {}

absl::Status TokenFile::Error(const std::string& what) const { return FileError(path_, what); }

absl::Status TokenFile::Scan() {
  const size_t chunks = (bytes_ + kChunkBytes - 1) / kChunkBytes;
  chunk_hashes_.reserve(chunks);
  Hash128 whole;
  std::vector<std::byte> chunk;
  for (size_t i = 0; i < chunks; ++i) {
    const absl::Status read = ReadChunk(i, chunk);
    if (!read.ok()) return OpenError(read);
    if (i == 0) RETURN_IF_ERROR(ReadFormat(chunk));
    const std::span<const std::byte> tokens = std::span(chunk).subspan(i == 0 ? data_offset_ : 0);
    largest_token_ = std::max(largest_token_, LargestOf(tokens, token_bytes_, id_bits_));
    chunk_hashes_.push_back(Hash64(chunk.data(), chunk.size()));
    whole.Update(chunk.data(), chunk.size());
  }
  const absl::StatusOr<FileStamp> now = file_->Stamp();
  if (!now.ok()) return OpenError(now.status());
  if (*now != opened_) return Error("was changed while it was read");
  content_.set_bytes(bytes_);
  content_.set_tokens(static_cast<uint64_t>(tokens_));
  content_.set_xxh3_128(whole.Hex());
  return absl::OkStatus();
}

absl::Status TokenFile::ReadFormat(std::span<const std::byte> head) {
  if (absl::EndsWith(path_, ".txt")) {
    token_bytes_ = 1;
    tokens_ = static_cast<int64_t>(bytes_);
    return absl::OkStatus();
  }
  if (const auto header = HeaderIn(head)) return ReadOwnHeader(*header);
  for (const Header& header : kHeaders) {
    if (bytes_ >= sizeof(int32_t) && ReadInt32(head.data()) == header.magic) {
      return ReadLlmcHeader(head, header);
    }
  }
  if (bytes_ % token_bytes_ != 0) {
    return Error(absl::StrCat(bytes_, " bytes are no multiple of ", token_bytes_,
                              "; tokens are uint", 8 * token_bytes_));
  }
  tokens_ = static_cast<int64_t>(bytes_ / token_bytes_);
  return absl::OkStatus();
}

absl::Status TokenFile::ReadOwnHeader(const TokenFileHeader& header) {
  if (header.version != TokenFileHeader::kVersion) {
    return Error(absl::StrCat("version ", header.version, " of the token files' format; only ",
                              TokenFileHeader::kVersion, " is known"));
  }
  if (header.token_bytes != 2 && header.token_bytes != 4) {
    return Error(absl::StrCat("its header promises tokens of ", header.token_bytes, " bytes"));
  }
  token_bytes_ = static_cast<int>(header.token_bytes);
  const size_t body = bytes_ - sizeof(header);
  if (body % token_bytes_ != 0 || header.tokens != body / token_bytes_ || header.tokens == 0) {
    return Error(absl::StrCat("its header promises ", header.tokens, " tokens of ", token_bytes_,
                              " bytes, but ", body, " bytes follow"));
  }
  if ((header.flags & TokenFileHeader::kMasked) != 0) id_bits_ = ~MaskBit(header.token_bytes);
  if (header.end_of_text != TokenFileHeader::kNoToken) end_of_text_ = header.end_of_text;
  data_offset_ = sizeof(header);
  tokens_ = static_cast<int64_t>(header.tokens);
  return absl::OkStatus();
}

absl::Status TokenFile::ReadLlmcHeader(std::span<const std::byte> head, const Header& header) {
  if (bytes_ < kLlmcHeaderBytes) {
    return Error(absl::StrCat("is cut off inside its llm.c header: ", bytes_, " of ",
                              kLlmcHeaderBytes, " bytes"));
  }
  const int32_t version = ReadInt32(head.data() + 4);
  const int32_t count = ReadInt32(head.data() + 8);
  if (version != header.version) {
    return Error(absl::StrCat("llm.c version ", version, " with magic ", header.magic,
                              "; only version ", header.version, " is known"));
  }
  token_bytes_ = header.token_bytes;
  const size_t body = bytes_ - kLlmcHeaderBytes;
  if (count <= 0 || body != static_cast<size_t>(count) * token_bytes_) {
    return Error(absl::StrCat("its llm.c header promises ", count, " tokens (",
                              int64_t{count} * token_bytes_, " bytes), but ", body,
                              " bytes follow"));
  }
  data_offset_ = kLlmcHeaderBytes;
  tokens_ = count;
  return absl::OkStatus();
}

bool TokenFile::IsAsOpened() const {
  const absl::StatusOr<FileStamp> now = disk_.StampOf(path_);
  return !disagreed_ && now.ok() && *now == opened_;
}

absl::Status TokenFile::ReadChunk(size_t index, std::vector<std::byte>& chunk) const {
  const size_t offset = index * kChunkBytes;
  chunk.resize(std::min(kChunkBytes, bytes_ - offset));
  absl::Status read = file_->ReadAt(offset, chunk.data(), chunk.size());
  if (read.ok()) return read;
  if (absl::IsDataLoss(read)) {
    return absl::DataLossError(absl::StrCat(path_, ": is shorter than the ", bytes_,
                                            " bytes that it had when it was opened"));
  }
  return absl::UnavailableError(
      absl::StrCat(path_, ": cannot be read at byte ", offset, ": ", read.message()));
}

absl::Status TokenFile::ReadVerified(size_t index, std::vector<std::byte>& chunk) const {
  absl::Status read = ReadChunk(index, chunk);
  if (read.ok() && Hash64(chunk.data(), chunk.size()) != chunk_hashes_[index]) {
    const size_t offset = index * kChunkBytes;
    read = absl::DataLossError(absl::StrCat(path_, ": was changed while the job reads it: bytes ",
                                            offset, " to ", offset + chunk.size(),
                                            " are not those that it was opened with"));
  }
  if (absl::IsDataLoss(read)) disagreed_ = true;
  return read;
}

absl::Status TokenFile::CopyTokens(int64_t first, std::span<uint32_t> out) const {
  RETURN_IF_ERROR(CopyMarked(first, out));
  for (uint32_t& token : out) token = IdOf(token);
  return absl::OkStatus();
}

absl::Status TokenFile::CopyMarked(int64_t first, std::span<uint32_t> out) const {
  const int64_t count = static_cast<int64_t>(out.size());
  WS_CHECK(first >= 0 && first <= tokens_ && count <= tokens_ - first);
  std::vector<std::byte> chunk;
  size_t at = data_offset_ + static_cast<size_t>(first) * token_bytes_;
  for (size_t done = 0; done < out.size();) {
    RETURN_IF_ERROR(ReadVerified(at / kChunkBytes, chunk));
    const std::span<const std::byte> here = std::span(chunk).subspan(at % kChunkBytes);
    const size_t tokens = std::min(here.size() / token_bytes_, out.size() - done);
    for (size_t i = 0; i < tokens; ++i) {
      out[done + i] = 0;
      std::memcpy(&out[done + i], &here[i * token_bytes_], token_bytes_);
    }
    done += tokens;
    at += tokens * token_bytes_;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> TokenFile::CountTargets(int64_t first, int64_t count) const {
  if (!is_masked()) return count;
  std::vector<uint32_t> some;
  uint64_t targets = 0;
  for (int64_t done = 0; done < count; done += static_cast<int64_t>(some.size())) {
    some.resize(std::min<int64_t>(kChunkBytes / 2, count - done));
    RETURN_IF_ERROR(CopyMarked(first + done, some));
    targets += std::count_if(some.begin(), some.end(), [&](uint32_t t) { return IsTarget(t); });
  }
  return targets;
}

absl::Status TokenFile::CheckVocabulary(uint32_t vocab) const {
  if (largest_token_ < vocab) return absl::OkStatus();
  std::vector<uint32_t> some(kChunkBytes / 2);
  for (int64_t first = 0; first < tokens_; first += static_cast<int64_t>(some.size())) {
    some.resize(std::min<int64_t>(static_cast<int64_t>(some.size()), tokens_ - first));
    RETURN_IF_ERROR(CopyTokens(first, some));
    for (size_t i = 0; i < some.size(); ++i) {
      if (some[i] < vocab) continue;
      return Error(absl::StrCat("token ", first + static_cast<int64_t>(i), " is ", some[i],
                                "; the model's vocab is ", vocab));
    }
  }
  WS_CHECK(false && "the largest token is somewhere");
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

}  // namespace waferstream
