#include "data/sentence_pieces.h"

#include <dlfcn.h>
#include <sentencepiece_processor.h>

#include <cstddef>

namespace waferstream {
namespace {

constexpr const char* kLibrary = "libsentencepiece.so.0";
#ifdef __SANITIZE_ADDRESS__
// The sanitizer ends a program that asks to be out of its sight. Its tests have no other protobuf.
constexpr int kHow = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kHow = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

// sentencepiece::util::Status as it is passed: one pointer, null if all is well, with a destructor.
struct Returned {
  Returned() = default;
  Returned(const Returned&) = delete;
  ~Returned();
  void* why = nullptr;
};
static_assert(sizeof(Returned) == sizeof(sentencepiece::util::Status));

// Its functions by the names that its compiler gave them; methods have the object first.
struct Library {
  void (*construct)(void* self);
  void (*destroy)(void* self);
  void (*destroy_status)(void* status);
  Returned (*load)(void* self, std::string_view model);
  int (*size)(const void* self);
  int (*id)(const void* self, std::string_view piece);
  const std::string& (*piece)(const void* self, int id);
  Returned (*encode)(const void* self, std::string_view text, std::vector<int>* ids);
  Returned (*decode)(const void* self, const std::vector<int>& ids, std::string* text);
  bool complete = true;
};

template <typename Function>
void Find(void* library, const char* name, Function& function, bool& complete) {
  function = library ? reinterpret_cast<Function>(dlsym(library, name)) : nullptr;
  complete = complete && function != nullptr;
}

Library LoadLibrary() {
  void* at = dlopen(kLibrary, kHow);
  Library library;
  const auto find = [&](const std::string& name, auto& function) {
    Find(at, name.c_str(), function, library.complete);
  };
  const std::string in = "13sentencepiece22SentencePieceProcessor";
  const std::string view = "St17basic_string_viewIcSt11char_traitsIcEE";
  const std::string ids = "St6vectorIiSaIiEE";
  find("_ZN" + in + "C1Ev", library.construct);
  find("_ZN" + in + "D1Ev", library.destroy);
  find("_ZN13sentencepiece4util6StatusD1Ev", library.destroy_status);
  find("_ZN" + in + "23LoadFromSerializedProtoE" + view, library.load);
  find("_ZNK" + in + "12GetPieceSizeEv", library.size);
  find("_ZNK" + in + "9PieceToIdE" + view, library.id);
  find("_ZNK" + in + "9IdToPieceB5cxx11Ei", library.piece);
  find("_ZNK" + in + "6EncodeE" + view + "P" + ids, library.encode);
  find("_ZNK" + in + "6DecodeERK" + ids + "PNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
       library.decode);
  return library;
}

// Never unloaded: its destructors belong to the process.
const Library& Loaded() {
  static const Library library = LoadLibrary();
  return library;
}

Returned::~Returned() { Loaded().destroy_status(this); }

}  // namespace

struct SentencePieces::Processor {
  Processor() { Loaded().construct(bytes); }
  ~Processor() { Loaded().destroy(bytes); }
  Processor(const Processor&) = delete;

  alignas(sentencepiece::SentencePieceProcessor)
      std::byte bytes[sizeof(sentencepiece::SentencePieceProcessor)];
};

SentencePieces::SentencePieces() = default;
SentencePieces::~SentencePieces() = default;

std::string SentencePieces::Load(std::string_view model) {
  if (!Loaded().complete) return std::string("needs ") + kLibrary + ", which cannot be loaded";
  processor_ = std::make_unique<Processor>();
  const Returned status = Loaded().load(processor_->bytes, model);
  return status.why ? "is no model of SentencePiece" : "";
}

int SentencePieces::Size() const { return Loaded().size(processor_->bytes); }

int SentencePieces::Id(std::string_view piece) const {
  const int id = Loaded().id(processor_->bytes, piece);
  // Every other piece is the unknown one.
  return Loaded().piece(processor_->bytes, id) == piece ? id : -1;
}

std::string SentencePieces::Encode(std::string_view text, std::vector<int>& ids) const {
  const Returned status = Loaded().encode(processor_->bytes, text, &ids);
  return status.why ? "cannot be encoded" : "";
}

std::string SentencePieces::Decode(const std::vector<int>& ids, std::string& text) const {
  const Returned status = Loaded().decode(processor_->bytes, ids, &text);
  return status.why ? "cannot be decoded" : "";
}

}  // namespace waferstream
