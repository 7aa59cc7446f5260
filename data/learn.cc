#include "data/learn.h"

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/piece_texts.h"
#include "data/text/rust_call.h"
#include "data/text_source.h"
#include "nlohmann/json.hpp"

namespace waferstream {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

// Gives the learner one piece of text after another; remembers the error that ended them.
class Pieces {
 public:
  Pieces(Disk& disk, const std::vector<InputFile>& files, const LearnOptions& options,
         const OnLearning& on_progress)
      // What it learns by is GPT-2's expression, which ends a word there.
      : source_(disk, files, options.field, Cuts::kLines),
        texts_(files, options.field, /*needs_utf8=*/true),
        on_progress_(on_progress) {
    for (const InputFile& file : files) bytes_total_ += file.bytes;
  }

  static bool Next(void* self, WsBytes* piece) { return static_cast<Pieces*>(self)->Next(*piece); }
  const absl::Status& status() const { return status_; }

 private:
  bool Next(WsBytes& piece) {
    if (!given_.empty()) given_.pop_front();
    while (given_.empty() && !ended_ && status_.ok()) status_ = ReadMore();
    if (given_.empty() || !status_.ok()) return false;
    piece = BytesOf(given_.front());
    return true;
  }
  absl::Status ReadMore() {
    std::vector<TextPiece> pieces;
    RETURN_IF_ERROR(source_.Read(kReadBytes, pieces));
    ended_ = pieces.empty();
    for (const TextPiece& piece : pieces) {
      RETURN_IF_ERROR(texts_.EachText(piece, [&](absl::string_view text, uint64_t, bool) {
        given_.emplace_back(text);
        return absl::OkStatus();
      }));
    }
    return on_progress_ ? on_progress_(source_.bytes_done(), bytes_total_) : absl::OkStatus();
  }

  TextSource source_;
  const PieceTexts texts_;
  const OnLearning& on_progress_;
  uint64_t bytes_total_ = 0;
  std::deque<std::string> given_;  // the first is with the learner
  bool ended_ = false;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::string> LearnTokenizer(Disk& disk, const std::vector<InputFile>& files,
                                           const LearnOptions& options,
                                           const OnLearning& on_progress) {
  Pieces pieces(disk, files, options, on_progress);
  std::string json, error;
  const bool ok = ws_learn(options.vocab, BytesOf(options.end_of_text), &Pieces::Next, &pieces,
                           SinkInto(json), SinkInto(error));
  RETURN_IF_ERROR(pieces.status());
  RETURN_IF_ERROR(RustStatus(ok, error));
  return json;
}

absl::Status WriteTokenizerFiles(Disk& disk, const std::string& folder, const std::string& json,
                                 const std::string& end_of_text) {
  using Json = nlohmann::ordered_json;
  const Json tokens = {{"bos_token", end_of_text}, {"eos_token", end_of_text}};
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"add_prefix_space", false},
                 {"clean_up_tokenization_spaces", false}};
  config.update(tokens);
  RETURN_IF_ERROR(WriteSmallFile(disk, folder + "/tokenizer.json", json));
  RETURN_IF_ERROR(WriteSmallFile(disk, folder + "/tokenizer_config.json", config.dump(2) + "\n"));
  return WriteSmallFile(disk, folder + "/special_tokens_map.json", tokens.dump(2) + "\n");
}

}  // namespace waferstream
