"""`fabric`: what carries tiles and gradients between processes of one host, beside what others have for it.

Rows that end in "ratio" are what counts, as the machine may be shared. Peers that are not installed have
no rows: OpenMPI (mpirun), Gloo (torch, in $PYTHON), iperf3.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import time

from common import PYTHON, has_torch, run

PEERS = 4  # that receive, or send
MPI = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def rows_of(text):
    """Of lines NAME TAB NUMBER."""
    pairs = (line.split("\t") for line in text.splitlines() if "\t" in line)
    return {name + ", GB/s": float(value) for name, value in pairs}


def mpi_rows():
    if shutil.which("mpirun") is None:
        return {}
    found = {}
    for ranks in (PEERS + 1, PEERS):
        text = run(["mpirun", "--oversubscribe", "-n", str(ranks),
                    "bazel-bin/bench/mpi_collectives"], env=MPI)
        wanted = "Bcast" if ranks == PEERS + 1 else "Reduce"
        found.update({name: value for name, value in rows_of(text).items() if wanted in name})
    return found


def adapter_rows():
    """The mpi adapter, both directions at once with sums, beside MPI's collectives one by one."""
    if shutil.which("mpirun") is None:
        return {}
    lines = run(["mpirun", "--oversubscribe", "-n", "4", "bazel-bin/bench/mpi_bench"], env=MPI)
    found = {}
    for line in lines.splitlines():
        size, ours, _, ratio = line.split()
        found.setdefault(int(size), []).append((float(ours), float(ratio)))
    rows = {}
    for size, pairs in found.items():
        rates, of_theirs = zip(*pairs)
        rows[f"mpi adapter, {size} bytes a frame, GB/s"] = statistics.median(rates)
        rows[f"mpi adapter over MPI_Bcast and MPI_Reduce, {size} bytes, ratio"] = \
            statistics.median(of_theirs)
    return rows


def gloo_rows():
    return rows_of(run([PYTHON, "bench/gloo_peer.py", PEERS])) if has_torch() else {}


def iperf_rows():
    """One stream over loopback, of 3 s."""
    if shutil.which("iperf3") is None:
        return {}
    port = "5291"
    server = subprocess.Popen(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port],
                              stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        report = json.loads(run(["iperf3", "-c", "127.0.0.1", "-p", port, "-t", "3", "-J"]))
    finally:
        server.kill()
        server.wait()
    return {"iperf3, one stream, GB/s": report["end"]["sum_received"]["bits_per_second"] / 8e9}


def tcp_rows():
    """One connection in the clear, frames of 4 MiB with checksums; the median."""
    rates = re.findall(r"^tcp +4194304 bytes a frame: +([0-9.]+) GB/s",
                       run(["bazel-bin/bench/fabric_bench"]), re.MULTILINE)
    return {"tcp, one connection, GB/s": statistics.median(map(float, rates))}


def ratios(rows):
    def over(ours, theirs):
        a, b = rows.get(ours + ", GB/s"), rows.get(theirs + ", GB/s")
        return {f"{ours} over {theirs}, ratio": a / b} if a and b else {}

    found = {}
    for receivers in (1, 2, 4, 8):
        found.update(over(f"shm broadcast to {receivers}", f"memcpy before {receivers}"))
        found.update(over(f"shm broadcast to {receivers}, not read", f"memcpy before {receivers}"))
    for peer in (f"MPI_Bcast to {PEERS}", f"Gloo broadcast to {PEERS}"):
        found.update(over(f"shm broadcast to {PEERS}", peer))
    for peer in (f"MPI_Reduce from {PEERS}", f"Gloo reduce from {PEERS}"):
        found.update(over(f"shm reduction from {PEERS}", peer))
    found.update(over("tcp, one connection", "iperf3, one stream"))
    return found


def rows(_work, _size, progress):
    found = {}
    for what, measure in (("shared memory", lambda: rows_of(run(["bazel-bin/bench/shm_bench"]))),
                          ("MPI's collectives", mpi_rows), ("the mpi adapter", adapter_rows),
                          ("Gloo", gloo_rows), ("tcp", tcp_rows), ("iperf3", iperf_rows)):
        progress(f"fabric: {what}")
        found.update(measure())
    found.update(ratios(found))
    return {name: {"value": value} for name, value in found.items()}
