#include "data/prepare.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "data/text_source.h"
#include "data/token_writer.h"

namespace waferstream {
namespace {

// A unit of work is several pieces, so that handing them out costs nothing; a round is several
// units a thread, so that the last ones leave few threads idle.
constexpr size_t kUnitBytes = size_t{256} << 10;
constexpr int kUnitsPerThread = 6;

struct Unit {
  std::vector<TextPiece> pieces;
  EncodedText encoded;
  absl::Status status;
};

struct Round {
  std::vector<Unit> units;  // in the input's order
  absl::Status status;      // of reading what would have followed
};

Round ReadRound(TextSource& source, int units) {
  Round round;
  while (static_cast<int>(round.units.size()) < units && round.status.ok()) {
    Unit unit;
    round.status = source.Read(kUnitBytes, unit.pieces);
    if (unit.pieces.empty()) break;
    round.units.push_back(std::move(unit));
  }
  return round;
}

void EncodeUnit(const DocumentEncoder& encoder, Unit& unit) {
  for (const TextPiece& piece : unit.pieces) {
    unit.status = encoder.Encode(piece, unit.encoded);
    if (!unit.status.ok()) return;
  }
}

absl::Status WriteRound(const Round& round, TokenWriter& writer, Prepared& prepared) {
  for (const Unit& unit : round.units) {
    RETURN_IF_ERROR(unit.status);
    RETURN_IF_ERROR(writer.Append(unit.encoded.tokens));
    prepared.header.documents += unit.encoded.documents;
    prepared.with_end_inside += unit.encoded.with_end_inside;
  }
  return round.status;
}

TokenFileHeader HeaderFor(const TokenizerFiles& tokenizer, const EncoderOptions& options) {
  TokenFileHeader header;
  header.vocab = tokenizer.tokenizer().vocab();
  header.token_bytes = TokenBytesFor(header.vocab, options.chat);
  header.flags = options.chat ? TokenFileHeader::kMasked : 0;
  header.end_of_text = options.end_of_text.value_or(TokenFileHeader::kNoToken);
  std::copy(tokenizer.xxh3_128.begin(), tokenizer.xxh3_128.end(), header.tokenizer);
  return header;
}

}  // namespace

absl::StatusOr<Prepared> PrepareText(Disk& disk, const std::vector<InputFile>& files,
                                     const TokenizerFiles& tokenizer, const PrepareOptions& options,
                                     Parallel& workers, const OnPrepared& on_progress) {
  Prepared prepared;
  prepared.header = HeaderFor(tokenizer, options.encoder);
  uint64_t bytes_total = 0;
  for (const InputFile& file : files) bytes_total += file.bytes;
  ASSIGN_OR_RETURN(const auto writer,
                   TokenWriter::Create(disk, options.out, prepared.header, options.overwrite));
  const DocumentEncoder encoder(tokenizer, files, options.encoder);
  TextSource source(disk, files, options.encoder.field, tokenizer.tokenizer().cuts());
  const int units = workers.threads() * kUnitsPerThread;
  Round now = ReadRound(source, units);
  while (!now.units.empty() || !now.status.ok()) {
    // The next round is read beside this one's work: it is the first unit of it.
    Round next;
    workers.For(static_cast<int>(now.units.size()) + 1, [&](int unit, int) {
      if (unit == 0) {
        if (now.status.ok()) next = ReadRound(source, units);
      } else {
        EncodeUnit(encoder, now.units[unit - 1]);
      }
    });
    RETURN_IF_ERROR(WriteRound(now, *writer, prepared));
    if (on_progress) RETURN_IF_ERROR(on_progress(source.bytes_done(), bytes_total));
    now = std::move(next);
  }
  prepared.header.tokens = writer->tokens();
  RETURN_IF_ERROR(writer->Publish(prepared.header.documents));
  return prepared;
}

}  // namespace waferstream
