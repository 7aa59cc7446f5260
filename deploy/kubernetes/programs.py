"""What the programs of WaferStream themselves say: their flags, whether they take what a pod gives them, the
size of a job, and the names of their metrics."""
import functools
import json
import os
import pathlib
import re
import subprocess

BINARIES = {
    "controller": "controller/controller",
    "memoryx": "memoryx/memoryx",
    "swarmx": "swarmx/swarmx",
    "wafer_node": "wafer_node/wafer_node",
    "waferctl": "client/waferctl",
}
METRIC_SOURCES = ("controller/controller_metrics.cc", "node/node_metrics.cc")


def run(arguments, **kwargs):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, **kwargs)


@functools.cache
def flags_of(program, command=""):
    """Names behind -- that it has; of waferctl those of one command."""
    arguments = [BINARIES[program], *([command] if command else []), "--help"]
    shown = run(arguments, env={}).stdout
    return frozenset(re.findall(r"^ +(?:-\w,)?--([a-z-]+)", shown, re.MULTILINE))


def all_flags():
    return frozenset().union(*(flags_of(p) for p in BINARIES), flags_of("waferctl", "submit"))


def complaint(program, arguments, variables):
    """What a start says that finds nothing wrong before it looks for its certificate or secret: "". Those are
    not here, and the controller's name means nothing."""
    nowhere = {f"WAFERSTREAM_TLS_{what}": f"/nowhere/{what}" for what in ("CERT", "KEY", "CA")}
    if "WAFERSTREAM_SECRET_FILE" in variables:
        nowhere["WAFERSTREAM_SECRET_FILE"] = "/nowhere/secret"
    port = variables["WAFERSTREAM_CONTROLLER"].partition(":")[2]
    here = {"WAFERSTREAM_CONTROLLER": f"127.0.0.1:{port}"}
    ended = run([BINARIES[program], *arguments], env={**variables, **here, **nowhere})
    if ended.returncode != 0 and re.search("/nowhere/.*: No such file", ended.stderr):
        return ""
    return f"{ended.stderr.strip()} (exit code {ended.returncode})"


def plan(job_file):
    """The patch for a job's pods, as text."""
    return run([BINARIES["waferctl"], "plan", "-f", job_file, "--kubernetes"]).stdout


@functools.cache
def metrics():
    names = set()
    for source in METRIC_SOURCES:
        text = pathlib.Path(source).read_text(encoding="utf-8")
        names.update(re.findall(r'(?:Of|Family|ByKind)\(\s*"([a-z_]+)"', text))
    return frozenset("waferstream_" + name for name in names)
