"""`optimizer`: AdamW of MemoryX on one thread, beside PyTorch's fused one and DeepSpeed's for CPUs."""
import json
import os

from common import PYTHON, has_torch, medians, run

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def rows(_work, size, progress):
    found = {}
    for turn in range(size.rounds):
        progress(f"optimizer: round {turn + 1} of {size.rounds}")
        rates = json.loads(run(["bazel-bin/bench/optimizer_bench"]))
        if has_torch():
            rates.update(json.loads(
                run([PYTHON, "bench/optimizer_peer.py"], env=ONE_THREAD).splitlines()[-1]))
        for name, rate in rates.items():
            found.setdefault(name, []).append({"M parameters/s": rate})
    table = {name: medians(turns) for name, turns in found.items()}
    bound = table["memory bound: 28 bytes a parameter"]["M parameters/s"]
    for row in table.values():
        row["of the bound"] = row["M parameters/s"] / bound
    return table
