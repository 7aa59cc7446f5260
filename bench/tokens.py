"""`tokens`: text a second of `waferctl data prepare` and of Python's tokenizers, turn about.

The text is Jane Austen's six novels (scripts/get_austen.sh) cut into documents of some paragraphs, several times over;
the tokenizer is learnt from it. The outputs are compared byte for byte, behind our header.
"""
import json
import os
import statistics
import subprocess
import time

from common import PYTHON, WAFERCTL

VOCAB, COPIES, ROUNDS = 30_000, 6, 3
HEADER_BYTES = 64


def seconds(command, **kwargs):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **kwargs)
    return time.monotonic() - start


def write_documents(work):
    subprocess.run(["scripts/get_austen.sh", work], check=True)
    text = (work / "austen.train.txt").read_text("utf-8", "replace")
    paragraphs = text.split("\n\n")
    documents = ["\n\n".join(paragraphs[i:i + 20]) for i in range(0, len(paragraphs), 20)]
    with open(work / "text.jsonl", "w", encoding="utf-8") as out:
        for copy in range(COPIES):
            for i, document in enumerate(documents):
                out.write(json.dumps({"id": f"{copy}.{i}", "text": document}, ensure_ascii=False) + "\n")


def measure(work):
    peer = [PYTHON, "bench/tokens_peer.py", work / "tokenizer/tokenizer.json",
            work / "text.jsonl"]
    prepare = [WAFERCTL, "data", "prepare", work / "text.jsonl", "--tokenizer", work / "tokenizer", "--overwrite", "-o"]
    two = {**os.environ, "RAYON_NUM_THREADS": str(os.cpu_count())}
    times = {"waferctl data prepare": [], "encode_batch": [], "encode_batch_fast": []}
    for _ in range(ROUNDS):
        times["waferctl data prepare"].append(seconds(prepare + [work / "ours.bin"]))
        for how in ("encode_batch", "encode_batch_fast"):
            times[how].append(seconds(peer + [work / "peer.bin", "<|endoftext|>", how], env=two))
    assert (work / "ours.bin").read_bytes()[HEADER_BYTES:] == (work / "peer.bin").read_bytes(), "other tokens"
    return {name: statistics.median(all_of) for name, all_of in times.items()}


def rows(work, _size, progress):
    write_documents(work)
    progress(f"tokens: learning {VOCAB} tokens, then {ROUNDS} rounds of encoding")
    learn = seconds([WAFERCTL, "data", "prepare", work / "text.jsonl", "--learn", str(VOCAB), "--save-tokenizer",
                     work / "tokenizer", "-o", work / "learnt.bin"])
    mib = (work / "text.jsonl").stat().st_size / 2**20
    found = measure(work)
    ours = found["waferctl data prepare"]
    table = {name: {"s": median, "MiB/s": mib / median, "ours over it": median / ours}
             for name, median in found.items()}
    table[f"learning {VOCAB} tokens"] = {"s": learn, "MiB/s": mib / learn}
    return table
