#include "data/prepare_tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/chat_template.h"
#include "data/megatron.h"
#include "data/token_file.h"
#include "data/token_writer.h"

namespace waferstream {
namespace {

constexpr size_t kPartTokens = size_t{256} << 10;
constexpr uint64_t kIdsMax = uint64_t{kNoTarget};

absl::Status InFile(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// A file of either sort, and what our own header says, where there is one.
struct TokenInput {
  std::unique_ptr<TokenFile> tokens;
  std::unique_ptr<MegatronFile> megatron;
  std::optional<TokenFileHeader> header;
};

using TakePart = std::function<absl::Status(std::span<const uint32_t> marked, bool ends_document)>;

absl::StatusOr<TokenInput> OpenInput(Disk& disk, const InputFile& file, uint32_t vocab) {
  TokenInput input;
  if (file.kind == InputKind::kMegatron) {
    ASSIGN_OR_RETURN(input.megatron, MegatronFile::Open(disk, file.path));
    return input;
  }
  ASSIGN_OR_RETURN(input.tokens, TokenFile::Open(disk, file.path, vocab));
  ASSIGN_OR_RETURN(input.header, ReadTokenHeader(disk, file.path));
  return input;
}

// `take` gets marks where the file has some. Of files that are not Megatron's no document ends
// here: their tokens are as they are.
absl::Status EachPart(const TokenInput& input, const TakePart& take) {
  if (input.megatron) return input.megatron->EachPart(take);
  std::vector<uint32_t> part;
  for (int64_t first = 0; first < input.tokens->size();
       first += static_cast<int64_t>(part.size())) {
    part.resize(std::min<int64_t>(kPartTokens, input.tokens->size() - first));
    RETURN_IF_ERROR(input.tokens->CopyMarked(first, part));
    for (uint32_t& token : part) {
      const bool is_target = input.tokens->IsTarget(token);
      token = input.tokens->IdOf(token);
      if (token >= kIdsMax) return InFile(input.tokens->path(), "an id of 2^31 or more");
      if (!is_target) token |= kNoTarget;
    }
    RETURN_IF_ERROR(take(part, false));
  }
  return absl::OkStatus();
}

// What all files agree on, and the caller's word before it.
absl::StatusOr<TokenFileHeader> CommonHeader(const std::vector<InputFile>& files,
                                             const std::vector<TokenInput>& inputs,
                                             const TokensOptions& options) {
  TokenFileHeader header;
  if (inputs.front().header) header = *inputs.front().header;
  const bool masked = (header.flags & TokenFileHeader::kMasked) != 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TokenFileHeader one = inputs[i].header.value_or(TokenFileHeader());
    if (((one.flags & TokenFileHeader::kMasked) != 0) != masked) {
      return InFile(files[i].path,
                    absl::StrCat("masked and unmasked tokens do not go into one file; ",
                                 files[0].path, " is of the other kind"));
    }
    if (!std::equal(std::begin(one.tokenizer), std::end(one.tokenizer), header.tokenizer)) {
      return InFile(files[i].path,
                    absl::StrCat("was made with another tokenizer than ", files[0].path));
    }
  }
  header.flags = masked ? TokenFileHeader::kMasked : 0;
  header.version = TokenFileHeader::kVersion;
  if (options.vocab) header.vocab = *options.vocab;
  if (options.end_of_text) header.end_of_text = *options.end_of_text;
  if (options.tokenizer != std::array<uint64_t, 2>{0, 0}) {
    std::copy(options.tokenizer.begin(), options.tokenizer.end(), header.tokenizer);
  }
  return header;
}

// One past the largest id of all. INVALID_ARGUMENT: one that is not below `vocab`, if that is not
// 0.
absl::StatusOr<uint32_t> VocabOf(const std::vector<InputFile>& files,
                                 const std::vector<TokenInput>& inputs, uint32_t vocab) {
  uint32_t largest = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    uint64_t at = 0;
    RETURN_IF_ERROR(EachPart(inputs[i], [&](std::span<const uint32_t> part, bool) {
      for (const uint32_t token : part) {
        const uint32_t id = token & ~kNoTarget;
        if (vocab > 0 && id >= vocab) {
          return InFile(files[i].path,
                        absl::StrCat("token ", at, " is ", id, "; the vocabulary is ", vocab));
        }
        largest = std::max(largest, id);
        ++at;
      }
      return absl::OkStatus();
    }));
  }
  return vocab > 0 ? vocab : largest + 1;
}

class Copy {
 public:
  Copy(TokenWriter& writer, uint32_t end_of_text) : writer_(writer), end_(end_of_text) {}

  absl::Status Take(std::span<const uint32_t> part, bool ends_document) {
    for (const uint32_t token : part) documents_ += (token & ~kNoTarget) == end_ ? 1 : 0;
    RETURN_IF_ERROR(writer_.Append(part));
    if (!ends_document || end_ == TokenFileHeader::kNoToken || part.back() == end_) {
      return absl::OkStatus();
    }
    ++documents_;
    return writer_.Append({&end_, 1});
  }
  uint64_t documents() const { return documents_; }

 private:
  TokenWriter& writer_;
  const uint32_t end_;
  uint64_t documents_ = 0;
};

}  // namespace

absl::StatusOr<Prepared> PrepareTokens(Disk& disk, const std::vector<InputFile>& files,
                                       const TokensOptions& options,
                                       const OnPrepared& on_progress) {
  std::vector<TokenInput> inputs;
  uint64_t bytes_total = 0, bytes_done = 0;
  for (const InputFile& file : files) {
    ASSIGN_OR_RETURN(inputs.emplace_back(), OpenInput(disk, file, options.vocab.value_or(1 << 16)));
    bytes_total += file.bytes;
  }
  Prepared prepared;
  ASSIGN_OR_RETURN(prepared.header, CommonHeader(files, inputs, options));
  TokenFileHeader& header = prepared.header;
  ASSIGN_OR_RETURN(header.vocab, VocabOf(files, inputs, header.vocab));
  header.token_bytes = TokenBytesFor(header.vocab, (header.flags & TokenFileHeader::kMasked) != 0);
  ASSIGN_OR_RETURN(const auto writer,
                   TokenWriter::Create(disk, options.out, header, options.overwrite));
  Copy copy(*writer, header.end_of_text);
  for (size_t i = 0; i < inputs.size(); ++i) {
    uint64_t here = 0;
    RETURN_IF_ERROR(EachPart(inputs[i], [&](std::span<const uint32_t> part, bool ends_document) {
      RETURN_IF_ERROR(copy.Take(part, ends_document));
      here += part.size() * header.token_bytes;
      return on_progress ? on_progress(bytes_done + std::min(here, files[i].bytes), bytes_total)
                         : absl::OkStatus();
    }));
    bytes_done += files[i].bytes;
  }
  header.documents = copy.documents();
  header.tokens = writer->tokens();
  RETURN_IF_ERROR(writer->Publish(header.documents));
  return prepared;
}

}  // namespace waferstream
