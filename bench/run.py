"""The measurements behind docs/PERFORMANCE.md; called by run.sh from the repository's root.

Every figure of one table comes from one run on one machine. A peer is run between our runs, so that a
slow phase of a shared machine meets both; several rounds give medians.
"""
import argparse
import dataclasses
import importlib
import json
import pathlib
import sys
import tempfile

import compare
from common import Progress, machine, write_tokens

TABLES = {  # each is a module with rows(work, size, progress) -> {row: {column: value}}
    "step": "GPT-2 124M, a whole step",
    "tiny": "small models",
    "fabric": "channels",
    "optimizer": "AdamW, one thread",
    "faults": "recovery",
    "hosts": "limited links",
    "tokens": "text to tokens",
}
USUAL = ("step", "tiny", "fabric", "optimizer")


@dataclasses.dataclass(frozen=True)
class Size:
    rounds: int  # of everything that is measured beside a peer
    # of gpt2_124m.yaml: the shapes of the products are the same
    global_batch: int
    micro_batch: int
    steps: int
    wafers: tuple  # rows, by number of wafers; two threads in all
    tiny_steps: int
    faults: int  # of every role
    goodput_rounds: int


FULL = Size(rounds=3, global_batch=8, micro_batch=2, steps=4, wafers=(1, 2), tiny_steps=2000,
            faults=30, goodput_rounds=6)
QUICK = Size(rounds=1, global_batch=1, micro_batch=1, steps=3, wafers=(1,), tiny_steps=400,
             faults=3, goodput_rounds=1)


def cell(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def markdown(title, rows):
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    head = [title, *columns]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, row in rows.items():
        lines.append("| " + " | ".join([name, *(cell(row.get(c)) for c in columns)]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE",
                        help=f"of {', '.join(TABLES)} [{' '.join(USUAL)}]")
    parser.add_argument("--quick", action="store_true",
                        help="one round, small batches: five minutes for the usual tables")
    parser.add_argument("--against", type=pathlib.Path, metavar="OLD.json",
                        help="print beside what an earlier run left")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench/results.json"))
    parser.add_argument("--kernel-isa", help="of waferctl run: hold our kernels to it (`step`)")
    arguments = parser.parse_args()
    for table in arguments.tables:
        if table not in TABLES:
            parser.error(f"{table}: not one of {', '.join(TABLES)}")
    try:
        old = json.loads(arguments.against.read_text()) if arguments.against else None
    except (OSError, ValueError) as why:
        parser.error(f"--against {arguments.against}: {why}")

    progress = Progress()
    results = {"machine": machine(), "quick": arguments.quick, "tables": {}}
    for table in arguments.tables or USUAL:
        options = {"kernel_isa": arguments.kernel_isa} if table == "step" else {}
        with tempfile.TemporaryDirectory() as name:
            work = pathlib.Path(name)
            write_tokens(work)
            size = QUICK if arguments.quick else FULL
            rows = importlib.import_module(table).rows(work, size, progress, **options)
        results["tables"][table] = rows
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
        about = results["machine"]
        print(f"\n{about['cpu']}, {about['cores']} cores; {about['kernel_isa']}\n")
        print(markdown(TABLES[table], rows), flush=True)
    if old:
        print(f"\nagainst {arguments.against}:")
        print("\n".join(compare.lines(old, results)))
    progress("done")


if __name__ == "__main__":
    sys.exit(main())
