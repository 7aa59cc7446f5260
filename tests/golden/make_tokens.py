#!/usr/bin/env python3
"""Makes tests/golden/tokens: tokenizers, hard cases, and what the reference implementations make of them.

  gpt2, llama3, qwen       tokenizer.json learnt here, with the pre-tokenizers of those models
  metaspace                one in SentencePiece's manner, that may not be cut at lines
  unigram, bpe             tokenizer.model of SentencePiece, learnt here
  cases.json               texts that are hard to get right
  ids.json                 their tokens, by tokenizer: of Python's tokenizers and sentencepiece
  chat, chat_tagged        a tokenizer with a chat template, without and with {% generation %}
  chat.jsonl, chat.json    conversations; their tokens, and which are an answer's: of transformers
  rows_CODEC.parquet       the texts as rows, in groups of 17

Usage: make_tokens.py
Needs tokenizers, sentencepiece, transformers and pyarrow.
"""
import json
import pathlib
import shutil

import pyarrow
import pyarrow.parquet
import sentencepiece
import transformers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

OUT = pathlib.Path(__file__).parent / "tokens"
VOCAB = 480
END = "<|endoftext|>"

TEXT = """The weights live in memory services, not in the machines that compute. She said: "I'll go, you've seen it,
they're late, we'd wait, it's ten o'clock and I'm tired." In 1984 there were 1,234,567 of them; 3.14159 is not pi.
Die Gewichte liegen nicht dort, wo gerechnet wird. Größe und Übermut. Les poids ne sont jamais là où l'on calcule.
Веса живут в службах памяти, а не в вычислительных машинах. Тише едешь, дальше будешь.
重みは計算する機械にはない。東京で雨が降る。権重不在計算的機器裡。下雨了。
가중치는 계산하는 기계에 있지 않다. الأوزان لا تسكن حيث نحسب. वज़न वहाँ नहीं रहते जहाँ गणना होती है।
def step(x):
    if x > 0:
        return [x * 2 for x in range(10)]  # a comment

\treturn None
""" * 3

CASES = [
    "", " ", "a", "Hello, world!", "Hello  world", "   three before", "three after   ", "\n", "\n\n\n", "a\nb", "a\n\nb",
    "a\r\nb\r\n\r\nc", "tab\tand\t\ttabs", "mixed \t \n \t white\n   space \n\n  x", "no-break\u00a0space\u2003em\u3000wide",
    "\ufeffbyte-order mark", "in the\ufeffmiddle", "I'll we've THEY'RE it'S don't ' 's", "1 12 123 1234 12345678901",
    "3.14e-10 ½ ² ٣٤٥ ४५ 一二三", "Größe, Übermut, naïve", "e\u0301 and \u00e9: two ways", "A\u030a \u212b \u00c5",
    "Веса живут в службах памяти.", "重みは計算する機械にはない。", "權重不在計算的機器裡", "가중치는 계산하는 기계에",
    "\u1100\u1161\u11a8 jamo", "الأوزان لا تسكن حيث نحسب", "वज़न वहाँ नहीं रहते", "ภาษาไทยไม่มีช่องว่าง", "שלום עולם",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "\U0001f44d\U0001f3fd thumbs",
    "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "zero\u200bwidth\u200dall\u200c", "\u202eright to left\u202c",
    f"before{END}after", f"{END}", f" {END} \n{END}{END}", "<|im_start|>user\nhi<|im_end|>\n", "<|endof text|> <|nothing|>",
    "<s> </s> <unk> <pad>", "\u2581under\u2581score", "\x00nul\x00", "\x1b[31mred\x7f", "\ufffd replacement \uffff", "\U0010ffff",
    "def f(x):\n    return x\n\n\n    # end\n", "{\"a\": [1, 2, {\"b\": null}]}", "https://example.org/a?b=c&d=%20#e",
    "((((((((((", "!!!???...", "a" * 300, " " * 100, "\n" * 50, "ab" * 200, "ﬁ ligature ﷺ ㍿", "ÀÈÌÒÙ àèìòù", "ſtraße ẞ",
    "x\u0300\u0301\u0302\u0303 marks", "ǅ ǈ titlecase", "Ⅷ roman", "word\u0085next\u2028line\u2029par", "\x0b\x0c vertical",
]

GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def split(regex):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(pre_tokenizer, special, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def metaspace():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=VOCAB + 100, special_tokens=special, show_progress=False)
    # A normalizer that has no pre-tokenizer behind it makes one word of a line.
    tokenizer.train_from_iterator(TEXT.split(" "), trainer)
    return tokenizer


def save(name, tokenizer, config=None, template=None):
    folder = OUT / name
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **(config or {})}, indent=1) + "\n")
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return tokenizer


def pieces(name, kind):
    folder = OUT / name
    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines()), model_prefix=str(folder / "tokenizer"), model_type=kind,
        vocab_size=520, byte_fallback=True, character_coverage=1.0, hard_vocab_limit=False, num_threads=1,
        normalization_rule_name="identity" if kind == "bpe" else "nmt_nfkc", minloglevel=2)
    (folder / "tokenizer.vocab").unlink()
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


CHATML = """{%- if tools %}
    {{- "<|im_start|>system\\nTools: " + tools | tojson + "<|im_end|>\\n" }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role not in ["system", "user", "assistant"] %}
        {{- raise_exception("no such role: " + message.role) }}
    {%- endif %}
    {{- "<|im_start|>" + message.role + "\\n" + message.content.strip() + "<|im_end|>" + "\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|im_start|>assistant\\n" }}
{%- endif %}
"""
TAGGED = """{{ bos_token }}{% for message in messages %}
  {% if message['role'] == 'assistant' %}
{{ '<|im_start|>assistant\\n' }}{% generation %}{{ message['content'] | trim }}{{ '<|im_end|>' }}{% endgeneration %}

  {%- else %}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}
  {%- endif %}
{{- '\\n' if not loop.last }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

CHATS = [
    {"messages": [{"role": "user", "content": "Is it raining?"}, {"role": "assistant", "content": "Yes, since ten."}]},
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"},
                  {"role": "assistant", "content": " two "}, {"role": "user", "content": "überall \U0001f600 \n\n x"},
                  {"role": "assistant", "content": "重み \U0001f468\u200d\U0001f469\u200d\U0001f467 <b>&amp;</b>"}]},
    {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "a\r\nb"},
                  {"role": "assistant", "content": "again"}, {"role": "user", "content": "and I'll go last"}]},
    {"messages": [{"role": "user", "content": "call"}, {"role": "assistant", "content": "done"}],
     "tools": [{"name": "f", "description": "naïve \"quotes\" <x>", "parameters": {"n": 1, "p": 0.5, "l": []}}]},
]


def answer_mask(ids, offsets, spans):
    return [int(any(begin < end_of and start_of < end for start_of, end_of in spans))
            for _, (begin, end) in zip(ids, offsets)]


def chat_by_prefixes(tokenizer, chat):
    def render(messages, prompt):
        return tokenizer.apply_chat_template(messages, tools=chat.get("tools"), tokenize=False,
                                             add_generation_prompt=prompt)
    messages, spans = chat["messages"], []
    for i, message in enumerate(messages):
        if message["role"] == "assistant":
            spans.append((len(render(messages[:i], True)), len(render(messages[:i + 1], False))))
    encoded = tokenizer(render(messages, False), add_special_tokens=False, return_offsets_mapping=True)
    return [encoded["input_ids"], answer_mask(encoded["input_ids"], encoded["offset_mapping"], spans)]


def chat_tagged(tokenizer, chat):
    out = tokenizer.apply_chat_template(chat["messages"], tokenize=True, return_dict=True,
                                        return_assistant_tokens_mask=True)
    return [out["input_ids"], out["assistant_masks"]]


def write_parquet(texts):
    table = pyarrow.table({"id": range(len(texts)), "text": texts, "note": [None] * len(texts)})
    for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
        pyarrow.parquet.write_table(table, OUT / f"rows_{codec}.parquet", compression=codec, row_group_size=17)


def write_json(name, value):
    (OUT / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    special = [AddedToken(t, special=True) for t in (END, "<|im_start|>", "<|im_end|>")]
    ours = {
        "gpt2": save("gpt2", byte_level(GPT2, special[:1])),
        "llama3": save("llama3", byte_level(split(LLAMA3), special)),
        "qwen": save("qwen", byte_level(split(QWEN), special, normalizers.NFC())),
        "metaspace": save("metaspace", metaspace()),
    }
    models_of_pieces = {name: pieces(name, name) for name in ("unigram", "bpe")}
    ids = {name: [t.encode(case, add_special_tokens=False).ids for case in CASES] for name, t in ours.items()}
    ids |= {name: [m.encode(case) for case in CASES] for name, m in models_of_pieces.items()}
    decoded = {name: [t.decode(x, skip_special_tokens=False) for x in ids[name]] for name, t in ours.items()}
    decoded |= {name: [m.decode(x) for x in ids[name]] for name, m in models_of_pieces.items()}
    write_json("cases.json", CASES)
    write_json("ids.json", ids)
    write_json("decoded.json", decoded)

    config = {"bos_token": END, "eos_token": "<|im_end|>"}
    save("chat", ours["qwen"], config, CHATML)
    save("chat_tagged", ours["llama3"], config | {"chat_template": TAGGED})
    (OUT / "chat.jsonl").write_text("".join(json.dumps(chat, ensure_ascii=False) + "\n" for chat in CHATS))
    load = transformers.AutoTokenizer.from_pretrained
    write_json("chat.json", {
        "chat": [chat_by_prefixes(load(OUT / "chat"), chat) for chat in CHATS],
        "chat_tagged": [chat_tagged(load(OUT / "chat_tagged"), chat) for chat in CHATS],
    })
    write_parquet([case for case in CASES])


main()
