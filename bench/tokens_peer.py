#!/usr/bin/env python3
"""The peer of `waferctl data prepare`: Python's tokenizers over JSON-lines, as a user writes it.

Usage: tokens_peer.py TOKENIZER_JSON INPUT_JSONL OUTPUT END_OF_TEXT [encode_batch|encode_batch_fast]
Needs tokenizers and numpy. RAYON_NUM_THREADS says on how many threads.
"""
import itertools
import json
import sys

import numpy
from tokenizers import Tokenizer

BATCH = 1000  # documents, as datasets' map has by default


def main():
    tokenizer_json, source, target, end, *how = sys.argv[1:]
    tokenizer = Tokenizer.from_file(tokenizer_json)
    encode = getattr(tokenizer, how[0] if how else "encode_batch")
    end = tokenizer.token_to_id(end)
    with open(source, encoding="utf-8") as lines, open(target, "wb") as out:
        while batch := [json.loads(line)["text"] for line in itertools.islice(lines, BATCH)]:
            for encoding in encode(batch, add_special_tokens=False):
                numpy.array(encoding.ids + [end], dtype="<u2").tofile(out)


main()
