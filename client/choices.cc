#include "client/choices.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/json.h"
#include "base/status.h"
#include "client/table.h"
#include "data/token_writer.h"

namespace waferstream {
namespace {

constexpr uint64_t kFileBytesMax = uint64_t{1} << 30;

absl::Status AtLine(const std::string& path, size_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", what));
}

absl::StatusOr<Question> ParseQuestion(absl::string_view text) {
  const absl::StatusOr<Json> record = ParseJson(std::string(text));
  if (!record.ok()) return record.status();
  const auto refuse = [](absl::string_view what) { return absl::InvalidArgumentError(what); };
  if (!record->is_object()) return refuse("is no JSON object");
  Question question;
  if (!record->contains("context") || !record->at("context").is_string()) {
    return refuse("has no text \"context\"");
  }
  question.context = record->at("context").get<std::string>();
  if (!record->contains("choices") || !record->at("choices").is_array() ||
      record->at("choices").size() < 2) {
    return refuse("has no list \"choices\" of two or more");
  }
  for (const Json& choice : record->at("choices")) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty()) {
      return refuse("has a choice that is no text");
    }
    question.choices.push_back(choice.get<std::string>());
  }
  const size_t count = question.choices.size();
  if (!record->contains("answer") || !record->at("answer").is_number_unsigned() ||
      record->at("answer").get<uint64_t>() >= count) {
    return refuse(absl::StrCat("has no \"answer\" from 0 to ", count - 1));
  }
  question.answer = record->at("answer").get<uint32_t>();
  return question;
}

// The context's tokens and the choice's, with as many of the first as there is room for. A choice's
// begin where those of the context alone end, as a tokenizer may join what stands side by side.
absl::StatusOr<std::vector<uint32_t>> MarkedTokens(const Question& question, size_t choice,
                                                   const TokenizerFiles& files, uint32_t context,
                                                   uint32_t mask) {
  const Tokenizer& tokenizer = files.tokenizer();
  std::vector<uint32_t> before, all;
  if (files.end_of_text.has_value()) before.push_back(*files.end_of_text);
  all = before;
  RETURN_IF_ERROR(tokenizer.Encode(question.context, before));
  RETURN_IF_ERROR(tokenizer.Encode(absl::StrCat(question.context, question.choices[choice]), all));
  if (before.empty()) return absl::InvalidArgumentError("nothing stands before its choices");
  if (all.size() <= before.size()) return absl::InvalidArgumentError("a choice has no tokens");
  const size_t of_choice = all.size() - before.size();
  if (of_choice >= context) {
    return absl::InvalidArgumentError(absl::StrCat("a choice of ", of_choice,
                                                   " tokens does not fit into a context of ",
                                                   context, " with a token before it"));
  }
  for (size_t i = 0; i < before.size(); ++i) all[i] |= mask;
  if (all.size() > context) all.erase(all.begin(), all.end() - context);
  return all;
}

// Which choice a question's score is largest of.
template <class Score>
bool IsRight(const Question& question, Score score) {
  size_t best = 0;
  for (size_t c = 1; c < question.choices.size(); ++c) {
    if (score(c) > score(best)) best = c;
  }
  return best == question.answer;
}

double Share(uint64_t part, uint64_t all) {
  return static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

absl::StatusOr<std::vector<Question>> ReadQuestions(Disk& disk, const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(disk, path, kFileBytesMax);
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  std::vector<Question> questions;
  size_t line = 0;
  for (absl::string_view record : absl::StrSplit(*text, '\n')) {
    ++line;
    if (absl::StripAsciiWhitespace(record).empty()) continue;
    absl::StatusOr<Question> question = ParseQuestion(record);
    if (!question.ok()) return AtLine(path, line, question.status().message());
    questions.push_back(*std::move(question));
    questions.back().line = line;
  }
  if (questions.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": has no question"));
  return questions;
}

absl::Status WriteQuestions(Disk& disk, const std::vector<Question>& questions,
                            const TokenizerFiles& files, uint32_t context,
                            const std::string& source, const std::string& path) {
  TokenFileHeader header;
  header.token_bytes = TokenBytesFor(files.tokenizer().vocab(), /*masked=*/true);
  header.flags = TokenFileHeader::kMasked;
  header.vocab = files.tokenizer().vocab();
  if (files.end_of_text.has_value()) header.end_of_text = *files.end_of_text;
  const uint32_t mask = MaskBit(header.token_bytes);
  ASSIGN_OR_RETURN(const std::unique_ptr<TokenWriter> writer,
                   TokenWriter::Create(disk, path, header, /*replace=*/false));
  for (const Question& question : questions) {
    for (size_t c = 0; c < question.choices.size(); ++c) {
      absl::StatusOr<std::vector<uint32_t>> tokens =
          MarkedTokens(question, c, files, context, mask);
      if (!tokens.ok()) return AtLine(source, question.line, tokens.status().message());
      tokens->resize(context, mask);  // token 0, no target
      RETURN_IF_ERROR(writer->Append(*tokens));
    }
  }
  RETURN_IF_ERROR(writer->Append(std::vector<uint32_t>{mask}));  // the last sequence's last target
  return writer->Publish(questions.size());
}

absl::StatusOr<ChoiceScores> ScoreQuestions(const std::vector<Question>& questions,
                                            const std::vector<double>& nats) {
  ChoiceScores scores;
  size_t at = 0;
  for (const Question& question : questions) {
    if (nats.size() - at < question.choices.size()) {
      return absl::InternalError("the evaluation did not give the loss of every sequence");
    }
    const double* of_choices = &nats[at];
    at += question.choices.size();
    ++scores.questions;
    const auto sum = [&](size_t c) { return -of_choices[c]; };
    const auto per_byte = [&](size_t c) {
      return -of_choices[c] / static_cast<double>(question.choices[c].size());
    };
    scores.right += IsRight(question, sum) ? 1 : 0;
    scores.right_per_byte += IsRight(question, per_byte) ? 1 : 0;
  }
  return scores;
}

Json ChoicesJson(const ChoiceScores& scores) {
  return {{"questions", scores.questions},
          {"accuracy", Share(scores.right, scores.questions)},
          {"accuracy_per_byte", Share(scores.right_per_byte, scores.questions)}};
}

std::string ChoicesTable(const ChoiceScores& scores) {
  return RenderPairs({{"questions", absl::StrCat(scores.questions)},
                      {"accuracy", absl::StrFormat("%.4f", Share(scores.right, scores.questions))},
                      {"accuracy per byte",
                       absl::StrFormat("%.4f", Share(scores.right_per_byte, scores.questions))}});
}

}  // namespace waferstream
