// Fuzz input as a message: on the wire's form, or, when it begins with '#', as text, which is what
// the seeds are written in.
#pragma once

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <string>
#include <string_view>

namespace waferstream {

// False: the bytes are no such message.
inline bool ParseMessage(std::string_view bytes, google::protobuf::Message& message) {
  if (bytes.substr(0, 1) != "#") {
    return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  }
  google::protobuf::TextFormat::Parser parser;
  struct Silent : google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } silent;
  parser.RecordErrorsTo(&silent);
  parser.AllowPartialMessage(true);
  return parser.ParseFromString(std::string(bytes), &message);
}

}  // namespace waferstream
