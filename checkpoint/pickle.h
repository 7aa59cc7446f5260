// Python's pickles, read as data. A pickle is a program for a small stack machine, and its own
// reader runs whatever it says. This one knows the instructions that torch.save writes for
// dictionaries of tensors and numbers, builds values of them, and calls nothing: every other
// instruction, and every name outside a short list, is refused.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

struct PickleValue {
  enum class Kind {
    kNone,
    kBool,        // whole
    kWhole,       // whole
    kReal,        // real
    kText,        // text
    kGlobal,      // text: "module name"
    kTuple,       // items
    kList,        // items
    kDict,        // items: key, value, key, value; in order; a key may be there twice
    kCall,        // items: the global that would be called, its arguments (a tuple)
    kPersistent,  // items: what tells an object that lies outside the pickle
  };
  Kind kind = Kind::kNone;
  int64_t whole = 0;
  double real = 0;
  std::string text = {};
  std::vector<int> items = {};  // by place in Pickle::values; may lead in circles
};

struct Pickle {
  std::deque<PickleValue> values;
  int root = 0;

  const PickleValue& At(int index) const { return values[index]; }
  const PickleValue& Item(const PickleValue& of, size_t i) const { return values[of.items[i]]; }
  // Of a dictionary: the value of the key; null: there is none.
  const PickleValue* Find(const PickleValue& dict, absl::string_view key) const;
};

// "a tuple".
const char* NameOf(PickleValue::Kind kind);

// DATA_LOSS: cut off, or no pickle; INVALID_ARGUMENT: asks for more than data. One line with the
// byte, or the name, without the file's. Memory: some 100 bytes a value, of which there are at most
// four millions.
absl::StatusOr<Pickle> ParsePickle(absl::string_view bytes);

}  // namespace waferstream
