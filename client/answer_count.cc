#include "client/answer_count.h"

#include <algorithm>
#include <utility>

namespace waferstream {

AnswerCount::AnswerCount(std::string controller, const std::vector<std::string>& nodes)
    : controller_(std::move(controller)) {
  processes_[controller_];
  for (const std::string& node : nodes) processes_[node];
}

void AnswerCount::OnLook(const absl::StatusOr<NodeList>& answer) {
  Count(processes_[controller_], answer.ok());
  if (!answer.ok()) return;
  for (auto& [key, process] : processes_) {
    const std::string& name = key;  // clang lets no lambda capture a structured binding
    if (name == controller_) continue;
    const bool heard = std::any_of(
        answer->nodes().begin(), answer->nodes().end(),
        [&](const NodeStatus& node) { return node.node_id() == name && node.state() != LOST; });
    Count(process, heard);
  }
}

void AnswerCount::Count(Process& process, bool answered) {
  if (process.unheard > 0) {
    --process.unheard;
  } else if (answered) {
    process = {};
  } else {
    ++process.missed;
  }
}

void AnswerCount::Started(const std::string& name) {
  // A controller has no former self that could answer for it.
  processes_[name] = {.fresh = true, .unheard = name == controller_ ? 0 : kLooksUnheard};
}

std::vector<std::string> AnswerCount::Hung() const {
  std::vector<std::string> hung;
  for (const auto& [name, process] : processes_) {
    if (process.missed >= (process.fresh ? kMissesMaxAtStart : kMissesMax)) hung.push_back(name);
  }
  return hung;
}

}  // namespace waferstream
