#include "checkpoint/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace waferstream {
namespace {

using testing::HasSubstr;
using Kind = PickleValue::Kind;

template <size_t n>
std::string Bytes(const char (&text)[n]) {
  return std::string(text, n - 1);
}

// Of {'a': [1, -2, 1099511627776, 0.5, None, True, (3,)], 'b': OrderedDict()}, as torch.save has
// it.
TEST(PickleTest, ValuesAreWhatTheyWere) {
  const auto pickle = ParsePickle(
      Bytes("\x80\x02}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01J\xfe\xff\xff\xff\x8a\x06\0\0\0\0\0\x01"
            "G?\xe0\0\0\0\0\0\0N\x88K\x03\x85q\x03"
            "eX\x01\0\0\0bq\x04"
            "ccollections\nOrderedDict\nq\x05)Rq\x06"
            "u."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  const PickleValue& root = pickle->At(pickle->root);
  const PickleValue* list = pickle->Find(root, "a");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->kind, Kind::kList);
  ASSERT_EQ(list->items.size(), 7u);
  EXPECT_EQ(pickle->Item(*list, 0).whole, 1);
  EXPECT_EQ(pickle->Item(*list, 1).whole, -2);
  EXPECT_EQ(pickle->Item(*list, 2).whole, int64_t{1} << 40);
  EXPECT_EQ(pickle->Item(*list, 3).real, 0.5);
  EXPECT_EQ(pickle->Item(*list, 4).kind, Kind::kNone);
  EXPECT_EQ(pickle->Item(*list, 5).kind, Kind::kBool);
  EXPECT_EQ(pickle->Item(pickle->Item(*list, 6), 0).whole, 3);
  EXPECT_EQ(pickle->Find(root, "b")->kind, Kind::kDict);
  EXPECT_EQ(pickle->Find(root, "c"), nullptr);
  EXPECT_EQ(pickle->Find(*list, "a"), nullptr);
}

TEST(PickleTest, WhatIsNotDataIsRefused) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is cut off (byte 0"},
      {Bytes("\x80\x02"), "is cut off (byte 2"},
      {Bytes("\x80\x04N."), "is of protocol 4, not 2"},
      {Bytes("\x80\x02."), "does not end with one value"},
      {Bytes("\x80\x02NN."), "does not end with one value"},
      {Bytes("\x80\x02(N."), "does not end with one value"},
      {Bytes("\x80\x02"
             "cos\nsystem\n."),
       "names 'os.system'"},
      {Bytes("\x80\x02"
             "cbuiltins\neval\n."),
       "names 'builtins.eval'"},
      {Bytes("\x80\x02"
             "c\x1b[2J\nx\n."),
       "names '\\x1b[2J.x'"},
      {Bytes("\x80\x02\x93."), "has instruction 0x93"},
      {Bytes("\x80\x02iposix\nsystem\n."), "has instruction 0x69"},
      {Bytes("\x80\x02oN."), "has instruction 0x6f"},
      {Bytes("\x80\x02NNR."), "calls what is no function"},
      {Bytes("\x80\x02NNb."), "sets attributes of what is no dictionary"},
      {Bytes("\x80\x02R."), "takes a value that is not there"},
      {Bytes("\x80\x02N(\x85."), "takes a value that is not there"},
      {Bytes("\x80\x02t."), "has no mark"},
      {Bytes("\x80\x02h\x01."), "takes a value that was not kept"},
      {Bytes("\x80\x02q\x01."), "keeps a value that is not there"},
      {Bytes("\x80\x02]K\x01K\x02s."), "adds to what is not such a container"},
      {Bytes("\x80\x02}(K\x01u."), "adds to what is not such a container"},
      {Bytes("\x80\x02X\xff\xff\xff\xffN."), "is cut off"},
      {Bytes("\x80\x02\x8a\x09\0\0\0\0\0\0\0\0\x01."), "more than 64 bits"},
      {Bytes("\x80\x02"
             "ccollections\nOrderedDict\nN\x85R."),
       "fills an OrderedDict by a call"},
      {Bytes("\x80\x02") + std::string(5'000'000, ')'), "holds too many values"},
  };
  for (const auto& [bytes, why] : cases) {
    const absl::Status status = ParsePickle(bytes).status();
    EXPECT_FALSE(status.ok()) << why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
}

// Into itself, and deeper than any stack: there is nothing that follows it down.
TEST(PickleTest, DepthCostsNothing) {
  EXPECT_TRUE(ParsePickle(Bytes("\x80\x02]q\0h\0a.")).ok());
  EXPECT_TRUE(ParsePickle(Bytes("\x80\x02)") + std::string(3'000'000, '\x85') + ".").ok());
}

}  // namespace
}  // namespace waferstream
