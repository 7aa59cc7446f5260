// The C interface of the static library that scripts/text.sh builds from src/*.rs. Use tokenizer.h,
// chat_template.h and parquet_rows.h, which own what this hands out.
//
// Each call that can fail returns false and gives one message to `error`. A sink's function is
// called on the calling thread, before the call returns, with memory that is the library's; it must
// not throw. Objects may be used from any number of threads, but for WsRows.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const uint8_t* data;
  size_t count;
} WsBytes;

typedef struct {
  void* context;
  void (*take)(void* context, const void* data, size_t count);
} WsSink;

typedef struct WsTokenizer WsTokenizer;
typedef struct WsChat WsChat;
typedef struct WsRows WsRows;

// `json` is the content of a tokenizer.json.
bool ws_tokenizer_open(WsBytes json, WsTokenizer** out, WsSink error);
void ws_tokenizer_close(WsTokenizer* tokenizer);
// Every id is below it.
uint32_t ws_tokenizer_vocab(const WsTokenizer* tokenizer);
// Whether a text may be cut after a line feed between a letter or digit and a letter (ASCII).
bool ws_tokenizer_cuts_at_lines(const WsTokenizer* tokenizer);
// -1: there is no such token.
int64_t ws_tokenizer_id(const WsTokenizer* tokenizer, WsBytes token);
// `text` is UTF-8; nothing is added before or behind it. `ids` gets uint32_t, once.
bool ws_tokenizer_encode(const WsTokenizer* tokenizer, WsBytes text, WsSink ids, WsSink error);
// `text` gets UTF-8, once.
bool ws_tokenizer_decode(const WsTokenizer* tokenizer, const uint32_t* ids, size_t count,
                         WsSink text, WsSink error);

// Learns a byte-level BPE vocabulary of at most `vocab` tokens; `json` gets a tokenizer.json.
// `next` gives the text in pieces, each valid until it is called again, from any thread but one at
// a time.
bool ws_learn(uint32_t vocab, WsBytes end_of_text, bool (*next)(void* context, WsBytes* piece),
              void* context, WsSink json, WsSink error);

// `special_tokens` is a JSON object: what the template calls them, and their text.
bool ws_chat_open(WsBytes template_text, WsBytes special_tokens, WsChat** out, WsSink error);
void ws_chat_close(WsChat* chat);
// `record` is a JSON object with "messages" and, perhaps, "tools". `ids` gets uint32_t, once; bit
// 31 says that a token is no part of an answer.
bool ws_chat_encode(const WsChat* chat, const WsTokenizer* tokenizer, WsBytes record, WsSink ids,
                    WsSink error);

// A column of text of a Parquet file.
bool ws_rows_open(WsBytes path, WsBytes field, WsRows** out, WsSink error);
void ws_rows_close(WsRows* rows);
uint64_t ws_rows_count(const WsRows* rows);
// Gives the next rows to `row`, one a call, until they have `bytes_min` bytes or there are no more.
bool ws_rows_next(WsRows* rows, size_t bytes_min, WsSink row, WsSink error);

#ifdef __cplusplus
}  // extern "C"
#endif
