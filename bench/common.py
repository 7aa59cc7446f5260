"""What every table of bench/run.py needs: commands, jobs, the peer, and the machine's name."""
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

import memory

WAFERCTL = "bazel-bin/client/waferctl"
REFERENCE = os.environ.get("REFERENCE", "../shared/peers/reference_train.py")
PYTHON = os.environ.get("PYTHON", "python3")
TOKENS, VOCAB = 40_000, 256  # ids below 256 suit every job that is measured


def run(command, **kwargs):
    """Standard output of a command; its standard error only if it fails."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


class Progress:
    """One line on standard error for each thing that is measured."""

    def __init__(self):
        self._start = time.monotonic()

    def __call__(self, what):
        seconds = int(time.monotonic() - self._start)
        print(f"bench: {seconds // 60:2d}:{seconds % 60:02d}  {what}", file=sys.stderr, flush=True)


def write_tokens(work):
    draw = random.Random(1)
    tokens = (draw.randrange(VOCAB).to_bytes(2, "little") for _ in range(TOKENS))
    (work / "tokens.bin").write_bytes(b"".join(tokens))


def job_in(work, name):
    """A copy of bench/<name> beside the tokens that it names."""
    path = work / name
    path.write_text(pathlib.Path("bench", name).read_text())
    return path


def set_flags(**values):
    return [word for key, value in values.items()
            for word in ("--set", f"{key.replace('__', '.')}={value}")]


def train(work, job, *flags):
    """The result of `waferctl run`, as its JSON says; and, as peak_memory, bytes of all its processes."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=work))
    command = [WAFERCTL, "run", "-f", job, "--run-dir", folder / "run", "-o", "json", *flags]
    with open(folder / "err", "w", encoding="utf-8") as err:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True) as running:
            with memory.Peak(running.pid) as peak:
                out = running.communicate()[0]
    if running.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))}: exit {running.returncode}\n"
                 + (folder / "err").read_text()[-2000:])
    return {**json.loads(out), "peak_memory": peak.bytes}


def has_torch():
    probe = subprocess.run([PYTHON, "-c", "import torch, numpy"], capture_output=True, check=False)
    return probe.returncode == 0


def reference(work, job, *, compiled=False, **options):
    """The last line of the reference script, or None where it or torch is missing. It trains the
    job's model from the job's first weights, on its tokens."""
    if not os.path.exists(REFERENCE) or not has_torch():
        return None
    start = work / f"start-{job.stem}"
    if not start.exists():
        run([WAFERCTL, "checkpoint", "init", "-f", job, "--out", start])
    script = ["bench/compiled_peer.py", REFERENCE] if compiled else [REFERENCE]
    flags = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), value)]
    lines = run([PYTHON, *script, "--init", start, "--data", work / "tokens.bin", *flags])
    return json.loads(lines.splitlines()[-1])


def medians(rounds):
    """Of rows with the same columns: {column: median}; of what is no number, the first row's."""
    def middle(column, first):
        if not isinstance(first, (int, float)):
            return first
        return statistics.median(row[column] for row in rounds)
    return {column: middle(column, first) for column, first in rounds[0].items()}


def cpuinfo(key):
    """What the first CPU has by this name; None: nothing."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return None


def has_flag(*names):
    return any(name in (cpuinfo("flags") or "").split() for name in names)


def machine():
    cpu = cpuinfo("model name") or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count(),
            "kernel_isa": json.loads(run([WAFERCTL, "version", "-o", "json"]))["kernel_isa"]}
