#include "base/yaml_document.h"

#include <exception>
#include <optional>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/text.h"
#include "yaml-cpp/depthguard.h"
#include "yaml-cpp/eventhandler.h"

namespace waferstream {
namespace {

absl::Status Refuse(const std::string& where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

// The reader would end at one such character, take another for a space, and guess an encoding.
absl::Status CheckCharacters(absl::string_view text, const YamlPlace& place) {
  int line = 0;
  while (!text.empty()) {
    const bool line_end = text[0] == '\n' || absl::StartsWith(text, "\r\n");
    const std::optional<char32_t> point = TakePoint(text);
    if (!point) return Refuse(place(line), "is not UTF-8");
    if (*point == '\n') ++line;
    const bool control = *point < 0x20 || (*point >= 0x7F && *point < 0xA0);
    if (!control || line_end || *point == '\t') continue;
    return Refuse(place(line), absl::StrFormat("holds the control character 0x%02x", *point));
  }
  return absl::OkStatus();
}

// Where the documents of a text begin, and each one's first node.
class DocumentMarks final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    starts.push_back(mark);
    nodes.push_back(YAML::Mark::null_mark());
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { OnNode(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { OnNode(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string&) override {
    OnNode(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    OnNode(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    OnNode(mark);
  }
  void OnMapEnd() override {}

  std::vector<YAML::Mark> starts, nodes;

 private:
  void OnNode(const YAML::Mark& mark) {
    if (nodes.back().is_null()) nodes.back() = mark;
  }
};

// yaml-cpp takes what can begin nothing (", ]") for an empty document and stays before it, so
// LoadAll would find such documents until the memory is full. Whoever comes to a second one knows
// enough, and of a third whether the second ended.
absl::Status CheckOneDocument(const std::string& text, const YamlPlace& place) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentMarks documents;
  const std::vector<YAML::Mark>& starts = documents.starts;
  while (starts.size() < 3 && parser.HandleNextDocument(documents)) {
    if (starts.size() < 2 || starts.back().pos != starts[starts.size() - 2].pos) continue;
    return Refuse(place(starts.back().line),
                  absl::StrCat("nothing begins like this at column ", starts.back().column + 1));
  }
  if (starts.size() < 2) return absl::OkStatus();
  return Refuse(place(documents.nodes[1].line), "a second document; there may be one only");
}

}  // namespace

// yaml-cpp reports by exception; here it ends.
absl::StatusOr<YAML::Node> LoadYaml(const std::string& text, const YamlPlace& place) {
  RETURN_IF_ERROR(CheckCharacters(text, place));
  try {
    RETURN_IF_ERROR(CheckOneDocument(text, place));
    return YAML::Load(text);
  } catch (const YAML::DeepRecursion&) {
    return Refuse(place(-1), "is nested too deep");
  } catch (const YAML::Exception& e) {
    return Refuse(place(e.mark.line), e.msg);
  } catch (const std::exception& e) {
    return Refuse(place(-1), e.what());
  }
}

}  // namespace waferstream
