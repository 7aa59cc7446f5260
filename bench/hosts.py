"""`hosts`: steps on hosts whose links are the bottleneck, beside what the plan predicts."""
import json

from common import run


def rows(_work, _size, progress):
    progress("hosts: eight network namespaces, limited links")
    table = {}
    for row in json.loads(run(["bazel-bin/bench/hosts"])):
        table[f"{row['row']}, {row['mbit_per_s']:.0f} Mbit/s"] = {
            "plan s": row["predicted_step_seconds"], "measured s": row["step_seconds"],
            "ratio": row["step_seconds"] / row["predicted_step_seconds"],
            "link bytes over payload": row["link_bytes_over_payload"]}
    return table
