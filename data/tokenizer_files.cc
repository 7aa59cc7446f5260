#include "data/tokenizer_files.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "data/piece_tokenizer.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kFileBytesMax = size_t{256} << 20;
// Of GPT-2, Llama 3, SentencePiece and Gemma; in a chat model the eos_token may be another, which
// ends an answer and not a document.
constexpr absl::string_view kEndsOfText[] = {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"};

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// What is not there is empty.
absl::StatusOr<std::string> ReadIfThere(const std::string& path) {
  absl::StatusOr<std::string> text = ReadRegularFile(path, kFileBytesMax);
  if (absl::IsNotFound(text.status())) return std::string();
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  return text;
}

// An object; what is not there is an empty one.
absl::StatusOr<Json> ReadObject(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadIfThere(path));
  if (text.empty()) return Json::object();
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return InFile(path, json.status());
  if (!json->is_object()) return absl::InvalidArgumentError(absl::StrCat(path, ": is no object"));
  return json;
}

// A token is its text, or an object with its content.
std::optional<std::string> TokenText(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object() && token.contains("content") && token["content"].is_string()) {
    return token["content"].get<std::string>();
  }
  return std::nullopt;
}

// "bos_token" and its like.
Json SpecialTokens(const Json& config, const Json& map) {
  Json tokens = Json::object();
  for (const Json* from : {&map, &config}) {
    for (const auto& [name, value] : from->items()) {
      const auto text = TokenText(value);
      if (absl::EndsWith(name, "_token") && text) tokens[name] = *text;
    }
  }
  return tokens;
}

// chat_template.jinja, or what tokenizer_config.json says: one, or a list with a default.
absl::StatusOr<std::string> TemplateOf(const std::string& folder, const Json& config) {
  ASSIGN_OR_RETURN(std::string file, ReadIfThere(folder + "/chat_template.jinja"));
  if (!file.empty() || !config.contains("chat_template")) return file;
  const Json& said = config["chat_template"];
  if (said.is_string()) return said.get<std::string>();
  if (!said.is_array()) return std::string();
  for (const Json& one : said) {
    if (one.is_object() && one.value("name", Json()) == "default" &&
        one.value("template", Json()).is_string()) {
      return one["template"].get<std::string>();
    }
  }
  return std::string();
}

void AddStop(std::optional<uint32_t> id, std::vector<uint32_t>& stops) {
  if (id && std::find(stops.begin(), stops.end(), *id) == stops.end()) stops.push_back(*id);
}

void FindEnds(const Json& special, const Json& generation, TokenizerFiles& files) {
  const Tokenizer& tokenizer = files.tokenizer();
  for (const absl::string_view name : kEndsOfText) {
    if (!files.end_of_text) files.end_of_text = tokenizer.Id(name);
  }
  std::optional<uint32_t> eos;
  if (special.contains("eos_token")) eos = tokenizer.Id(special["eos_token"].get<std::string>());
  if (!files.end_of_text) files.end_of_text = eos;
  AddStop(files.end_of_text, files.stops);
  AddStop(eos, files.stops);
  const Json ids = generation.value("eos_token_id", Json());
  for (const Json& id : ids.is_array() ? ids : Json::array({ids})) {
    if (id.is_number_unsigned() && id.get<uint64_t>() < tokenizer.vocab()) {
      AddStop(id.get<uint32_t>(), files.stops);
    }
  }
}

absl::Status ReadCompanions(TokenizerFiles& files) {
  const std::string folder = fs::path(files.path).parent_path().string();
  ASSIGN_OR_RETURN(const Json config, ReadObject(folder + "/tokenizer_config.json"));
  ASSIGN_OR_RETURN(const Json map, ReadObject(folder + "/special_tokens_map.json"));
  ASSIGN_OR_RETURN(const Json generation, ReadObject(folder + "/generation_config.json"));
  const Json special = SpecialTokens(config, map);
  FindEnds(special, generation, files);
  ASSIGN_OR_RETURN(const std::string source, TemplateOf(folder, config));
  if (source.empty()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<ChatTemplate>> chat = ChatTemplate::Make(source, special.dump());
  if (!chat.ok()) return InFile(folder, chat.status());
  files.chat = *std::move(chat);
  return absl::OkStatus();
}

std::array<uint64_t, 2> HashOf(const std::string& content) {
  Hash128 hash;
  hash.Update(content.data(), content.size());
  const std::string hex = hash.Hex();
  std::array<uint64_t, 2> halves = {};
  WS_CHECK(absl::SimpleHexAtoi(absl::string_view(hex).substr(16), &halves[0]));
  WS_CHECK(absl::SimpleHexAtoi(absl::string_view(hex).substr(0, 16), &halves[1]));
  return halves;
}

absl::StatusOr<TokenizerFiles> OpenFile(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadRegularFile(path, kFileBytesMax);
  if (!content.ok()) return absl::InvalidArgumentError(content.status().message());
  TokenizerFiles files;
  files.path = path;
  files.xxh3_128 = HashOf(*content);
  if (absl::EndsWith(path, ".json")) {
    absl::StatusOr<std::unique_ptr<JsonTokenizer>> json = JsonTokenizer::Make(*content);
    if (!json.ok()) return InFile(path, json.status());
    files.json = *std::move(json);
  } else {
    absl::StatusOr<std::unique_ptr<PieceTokenizer>> pieces = PieceTokenizer::Make(*content);
    if (!pieces.ok()) return InFile(path, pieces.status());
    files.other = *std::move(pieces);
  }
  RETURN_IF_ERROR(ReadCompanions(files));
  return files;
}

}  // namespace

absl::StatusOr<std::optional<TokenizerFiles>> FindTokenizer(const std::string& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    const std::string path = absl::StrCat(folder, "/", name);
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    ASSIGN_OR_RETURN(TokenizerFiles files, OpenFile(path));
    return std::optional(std::move(files));
  }
  return std::optional<TokenizerFiles>();
}

absl::StatusOr<TokenizerFiles> OpenTokenizer(const std::string& name) {
  if (name == "bytes") {
    TokenizerFiles files;
    files.path = name;
    files.other = MakeByteTokenizer();
    return files;
  }
  std::error_code error;
  if (!fs::is_directory(name, error)) return OpenFile(name);
  ASSIGN_OR_RETURN(std::optional<TokenizerFiles> files, FindTokenizer(name));
  if (files) return *std::move(files);
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": holds no tokenizer.json and no tokenizer.model"));
}

}  // namespace waferstream
