#include "checkpoint/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace waferstream {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kValuesMax = 4'000'000;
constexpr int kProtocol = 2;  // which torch.save writes
constexpr char kOrderedDict[] = "collections OrderedDict";

// What may be named. None of it is looked up or called: it says what the values beside it mean.
constexpr absl::string_view kGlobals[] = {
    kOrderedDict,
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
    "torch BFloat16Storage",
    "torch BoolStorage",
    "torch ByteStorage",
    "torch CharStorage",
    "torch DoubleStorage",
    "torch FloatStorage",
    "torch HalfStorage",
    "torch IntStorage",
    "torch LongStorage",
    "torch ShortStorage",
};

class Machine {
 public:
  explicit Machine(absl::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<Pickle> Run() {
    for (bool stopped = false; !stopped;) {
      op_at_ = at_;
      uint8_t op;
      RETURN_IF_ERROR(Little(op));
      stopped = op == '.';
      if (!stopped) RETURN_IF_ERROR(Step(op));
      if (pickle_.values.size() > kValuesMax) return Bad("holds too many values");
    }
    if (stack_.size() != 1 || !marks_.empty()) return Bad("does not end with one value");
    pickle_.root = stack_.back();
    return std::move(pickle_);
  }

 private:
  absl::Status Bad(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(what, " (byte ", op_at_, " of the pickle)"));
  }
  absl::Status Refuse(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " (byte ", op_at_,
                     " of the pickle), and only tensors and numbers are"
                     " read"));
  }

  absl::StatusOr<absl::string_view> Take(uint64_t n) {
    if (n > bytes_.size() - at_) return Bad("is cut off");
    const absl::string_view taken = bytes_.substr(at_, n);
    at_ += n;
    return taken;
  }

  template <class T>
  absl::Status Little(T& value) {
    ASSIGN_OR_RETURN(const absl::string_view raw, Take(sizeof(T)));
    std::memcpy(&value, raw.data(), sizeof(T));
    return absl::OkStatus();
  }

  absl::StatusOr<absl::string_view> TakeLine() {
    const size_t end = bytes_.find('\n', at_);
    if (end == absl::string_view::npos) return Bad("is cut off");
    ASSIGN_OR_RETURN(const absl::string_view line, Take(end - at_));
    ++at_;
    return line;
  }

  absl::Status Push(PickleValue value) {
    stack_.push_back(static_cast<int>(pickle_.values.size()));
    pickle_.values.push_back(std::move(value));
    return absl::OkStatus();
  }
  absl::Status PushWhole(int64_t whole) { return Push({.kind = Kind::kWhole, .whole = whole}); }
  template <class T>
  absl::Status PushLittle() {
    T value;
    RETURN_IF_ERROR(Little(value));
    return PushWhole(value);
  }

  // Never what is below the last mark.
  absl::Status Pop(size_t n, std::vector<int>& values) {
    const size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() - floor < n) return Bad("takes a value that is not there");
    values.assign(stack_.end() - static_cast<int64_t>(n), stack_.end());
    stack_.resize(stack_.size() - n);
    return absl::OkStatus();
  }
  absl::Status PopToMark(std::vector<int>& values) {
    if (marks_.empty()) return Bad("has no mark");
    RETURN_IF_ERROR(Pop(stack_.size() - marks_.back(), values));
    marks_.pop_back();
    return absl::OkStatus();
  }

  absl::Status PushTuple(size_t n) {
    PickleValue tuple{.kind = Kind::kTuple};
    RETURN_IF_ERROR(Pop(n, tuple.items));
    return Push(std::move(tuple));
  }

  absl::Status Append(Kind kind, const std::vector<int>& items) {
    std::vector<int> on;
    RETURN_IF_ERROR(Pop(1, on));
    stack_.push_back(on[0]);
    PickleValue& container = pickle_.values[on[0]];
    if (container.kind != kind || (kind == Kind::kDict && items.size() % 2 != 0)) {
      return Bad("adds to what is not such a container");
    }
    container.items.insert(container.items.end(), items.begin(), items.end());
    return absl::OkStatus();
  }

  absl::Status Global() {
    ASSIGN_OR_RETURN(const absl::string_view module, TakeLine());
    ASSIGN_OR_RETURN(const absl::string_view name, TakeLine());
    const std::string global = absl::StrCat(module, " ", name);
    if (std::find(std::begin(kGlobals), std::end(kGlobals), global) == std::end(kGlobals)) {
      return Refuse(
          absl::StrCat("names '", absl::CHexEscape(module), ".", absl::CHexEscape(name), "'"));
    }
    return Push({.kind = Kind::kGlobal, .text = global});
  }

  absl::Status Reduce() {
    std::vector<int> call;
    RETURN_IF_ERROR(Pop(2, call));
    const PickleValue& global = pickle_.At(call[0]);
    const PickleValue& arguments = pickle_.At(call[1]);
    if (global.kind != Kind::kGlobal || arguments.kind != Kind::kTuple) {
      return Bad("calls what is no function");
    }
    if (global.text != kOrderedDict) return Push({.kind = Kind::kCall, .items = std::move(call)});
    if (!arguments.items.empty()) return Refuse("fills an OrderedDict by a call");
    return Push({.kind = Kind::kDict});
  }

  // Attributes that are set on a value: a state dict has its modules' versions so. Dropped.
  absl::Status Build() {
    std::vector<int> operands;
    RETURN_IF_ERROR(Pop(2, operands));
    if (pickle_.At(operands[0]).kind != Kind::kDict) {
      return Refuse("sets attributes of what is no dictionary");
    }
    stack_.push_back(operands[0]);
    return absl::OkStatus();
  }

  absl::Status Text() {
    uint32_t n;
    RETURN_IF_ERROR(Little(n));
    ASSIGN_OR_RETURN(const absl::string_view text, Take(n));
    return Push({.kind = Kind::kText, .text = std::string(text)});
  }

  // Big-endian, alone among them.
  absl::Status Real() {
    uint64_t bits;
    RETURN_IF_ERROR(Little(bits));
    return Push({.kind = Kind::kReal, .real = std::bit_cast<double>(__builtin_bswap64(bits))});
  }

  absl::Status LongWhole() {
    uint8_t n;
    RETURN_IF_ERROR(Little(n));
    if (n > sizeof(int64_t)) return Refuse("holds a number of more than 64 bits");
    ASSIGN_OR_RETURN(const absl::string_view raw, Take(n));
    const bool negative = n > 0 && (raw.back() & 0x80) != 0;
    int64_t value = negative ? -1 : 0;
    std::memcpy(&value, raw.data(), n);
    return PushWhole(value);
  }

  template <class Index>
  absl::Status Put() {
    Index index;
    RETURN_IF_ERROR(Little(index));
    if (stack_.empty()) return Bad("keeps a value that is not there");
    memo_[index] = stack_.back();
    return absl::OkStatus();
  }
  template <class Index>
  absl::Status Get() {
    Index index;
    RETURN_IF_ERROR(Little(index));
    const auto found = memo_.find(index);
    if (found == memo_.end()) return Bad("takes a value that was not kept");
    stack_.push_back(found->second);
    return absl::OkStatus();
  }

  absl::Status Many(Kind kind, bool to_mark) {
    std::vector<int> items;
    RETURN_IF_ERROR(to_mark ? PopToMark(items) : Pop(kind == Kind::kDict ? 2 : 1, items));
    return Append(kind, items);
  }

  absl::Status Step(uint8_t op) {
    std::vector<int> items;
    switch (op) {
      case 0x80: {  // PROTO
        uint8_t protocol;
        RETURN_IF_ERROR(Little(protocol));
        if (protocol == kProtocol) return absl::OkStatus();
        return Refuse(absl::StrCat("is of protocol ", protocol, ", not ", kProtocol));
      }
      case '(':  // MARK
        marks_.push_back(stack_.size());
        return absl::OkStatus();
      case ')':
        return Push({.kind = Kind::kTuple});
      case ']':
        return Push({.kind = Kind::kList});
      case '}':
        return Push({.kind = Kind::kDict});
      case 't':  // TUPLE
        RETURN_IF_ERROR(PopToMark(items));
        return Push({.kind = Kind::kTuple, .items = std::move(items)});
      case 0x85:  // TUPLE1 to TUPLE3
      case 0x86:
      case 0x87:
        return PushTuple(op - 0x84);
      case 'a':  // APPEND
      case 'e':  // APPENDS
        return Many(Kind::kList, op == 'e');
      case 's':  // SETITEM
      case 'u':  // SETITEMS
        return Many(Kind::kDict, op == 'u');
      case 'N':
        return Push({});
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        return Push({.kind = Kind::kBool, .whole = op == 0x88});
      case 'K':  // BININT1
        return PushLittle<uint8_t>();
      case 'M':  // BININT2
        return PushLittle<uint16_t>();
      case 'J':  // BININT
        return PushLittle<int32_t>();
      case 0x8a:  // LONG1
        return LongWhole();
      case 'G':  // BINFLOAT
        return Real();
      case 'X':  // BINUNICODE
        return Text();
      case 'q':  // BINPUT
        return Put<uint8_t>();
      case 'r':  // LONG_BINPUT
        return Put<uint32_t>();
      case 'h':  // BINGET
        return Get<uint8_t>();
      case 'j':  // LONG_BINGET
        return Get<uint32_t>();
      case 'c':
        return Global();
      case 'Q':  // BINPERSID
        RETURN_IF_ERROR(Pop(1, items));
        return Push({.kind = Kind::kPersistent, .items = std::move(items)});
      case 'R':
        return Reduce();
      case 'b':
        return Build();
      default:
        return Refuse(absl::StrFormat("has instruction 0x%02x", op));
    }
  }

  const absl::string_view bytes_;
  uint64_t at_ = 0;
  uint64_t op_at_ = 0;  // where the instruction began
  Pickle pickle_;
  std::vector<int> stack_;     // places in pickle_.values
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint32_t, int> memo_;
};

}  // namespace

const PickleValue* Pickle::Find(const PickleValue& dict, absl::string_view key) const {
  if (dict.kind != Kind::kDict) return nullptr;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& name = Item(dict, i);
    if (name.kind == Kind::kText && name.text == key) return &Item(dict, i + 1);
  }
  return nullptr;
}

const char* NameOf(PickleValue::Kind kind) {
  constexpr const char* kNames[] = {"nothing",      "a boolean", "a whole number", "a number",
                                    "text",         "a name",    "a tuple",        "a list",
                                    "a dictionary", "an object", "an object"};
  return kNames[static_cast<size_t>(kind)];
}

absl::StatusOr<Pickle> ParsePickle(absl::string_view bytes) { return Machine(bytes).Run(); }

}  // namespace waferstream
