#include "data/token_writer.h"

#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_id.h"
#include "data/chat_template.h"

namespace waferstream {
namespace {

absl::Status ThereAlready(const std::string& path) {
  return absl::AlreadyExistsError(
      absl::StrCat(path, " is already there (--overwrite replaces it)"));
}

}  // namespace

uint32_t TokenBytesFor(uint64_t vocab, bool masked) {
  return vocab <= MaskBit(2) || (!masked && vocab <= 2 * uint64_t{MaskBit(2)}) ? 2 : 4;
}

absl::StatusOr<std::unique_ptr<TokenWriter>> TokenWriter::Create(Disk& disk,
                                                                 const std::string& path,
                                                                 const TokenFileHeader& header,
                                                                 bool replace) {
  if (!replace && disk.Exists(path)) return ThereAlready(path);
  std::unique_ptr<TokenWriter> writer(new TokenWriter(disk, path, header, replace));
  ASSIGN_OR_RETURN(writer->file_, disk.OpenForWriting(writer->partial_));
  return writer;
}

TokenWriter::TokenWriter(Disk& disk, std::string path, const TokenFileHeader& header, bool replace)
    : disk_(disk),
      path_(std::move(path)),
      partial_(absl::StrCat(path_, ".partial-", Base32(RandomBits()))),
      replace_(replace),
      header_(header) {
  header_.tokens = 0;
}

TokenWriter::~TokenWriter() { disk_.Remove(partial_).IgnoreError(); }

absl::Status TokenWriter::Append(std::span<const uint32_t> marked) {
  const size_t size = header_.token_bytes;
  const uint32_t mask = MaskBit(header_.token_bytes);
  buffer_.resize(marked.size() * size);
  for (size_t i = 0; i < marked.size(); ++i) {
    uint32_t token = marked[i] & ~kNoTarget;
    if (token != marked[i]) token |= mask;
    std::memcpy(&buffer_[i * size], &token, size);
  }
  RETURN_IF_ERROR(file_->WriteAt(at_, buffer_.data(), buffer_.size()));
  at_ += buffer_.size();
  header_.tokens += marked.size();
  return absl::OkStatus();
}

absl::Status TokenWriter::Publish(uint64_t documents) {
  if (header_.tokens == 0) return absl::InvalidArgumentError("the input has no tokens");
  header_.documents = documents;
  RETURN_IF_ERROR(file_->WriteAt(0, &header_, sizeof(header_)));
  RETURN_IF_ERROR(file_->Sync());
  if (!replace_ && disk_.Exists(path_)) return ThereAlready(path_);
  RETURN_IF_ERROR(disk_.Rename(partial_, path_));
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  return disk_.SyncFolder(folder.empty() ? "." : folder);
}

}  // namespace waferstream
