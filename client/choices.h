// Multiple choice by likelihood: of every question, which of its answers the model finds likeliest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "client/output.h"
#include "data/tokenizer_files.h"

namespace waferstream {

struct Question {
  std::string context;
  std::vector<std::string> choices;  // at least two
  uint32_t answer = 0;               // index of the right one
  size_t line = 0;                   // of the file
};

// Of a JSON-lines file of records {"context": TEXT, "choices": [TEXT, ...], "answer": INDEX}.
// INVALID_ARGUMENT, one line with file and line: it is none, or has no question.
absl::StatusOr<std::vector<Question>> ReadQuestions(Disk& disk, const std::string& path);

// Writes the questions as a token file of sequences of `context` tokens, one for each choice of
// each question in order: the question's context and the choice, whose tokens alone are targets.
// What is too long loses its beginning. INVALID_ARGUMENT, naming file (`source`) and line: a text
// cannot be encoded, a choice has no tokens or leaves no room for one before it, or nothing stands
// before it and the tokenizer has no token that ends a text.
absl::Status WriteQuestions(Disk& disk, const std::vector<Question>& questions,
                            const TokenizerFiles& files, uint32_t context,
                            const std::string& source, const std::string& path);

struct ChoiceScores {
  uint64_t questions = 0;
  uint64_t right = 0;           // by the sum of log-likelihoods
  uint64_t right_per_byte = 0;  // by the same, divided by the bytes of a choice
};

// `nats`: of every sequence that WriteQuestions wrote. Of equals the first counts as chosen.
// INTERNAL: there are not as many.
absl::StatusOr<ChoiceScores> ScoreQuestions(const std::vector<Question>& questions,
                                            const std::vector<double>& nats);

Json ChoicesJson(const ChoiceScores& scores);
std::string ChoicesTable(const ChoiceScores& scores);

}  // namespace waferstream
