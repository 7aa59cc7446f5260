"""What goes wrong with pods and nodes that Kubernetes itself would not do."""
import os
import pathlib
import signal
import subprocess
import sys

import kubernetes as k

# The system ends pods before what is no pod.
EATER = """
import os, sys
pid, group = sys.argv[1:]
with open(group + "/cgroup.procs", "w") as procs: procs.write(str(os.getpid()))
eaten = []
while os.path.exists("/proc/" + pid): eaten.append(bytearray(b"x" * (1 << 20)))
"""


def exceed_memory_limit(process):
    """Uses memory on the account of a container until the system kills what runs there. Its limit is lowered to
    little more than it has; the machine need not have as much as a manifest's."""
    group, limit, used = memory_group(process)
    limit.write_text(str(int(used.read_text()) + (64 << 20)))
    subprocess.run([sys.executable, "-c", EATER, str(process), str(group)], check=False, timeout=120)


def memory_group(process):
    """The control group that a process's memory is of, its limit, and what is used of it."""
    groups = (line.split(":", 2) for line in pathlib.Path(f"/proc/{process}/cgroup").read_text().splitlines())
    paths = {controllers: path for _, controllers, path in groups}
    if "memory" in paths:
        group = pathlib.Path(f"/sys/fs/cgroup/memory{paths['memory']}")
        return group, group / "memory.limit_in_bytes", group / "memory.usage_in_bytes"
    group = pathlib.Path(f"/sys/fs/cgroup{paths['']}")
    return group, group / "memory.max", group / "memory.current"


def lose_node(name):
    """Its power is cut."""
    os.kill(int((k.CLUSTER / name / "pid").read_text()), signal.SIGKILL)


def start_node(name):
    """It comes back with an empty disk."""
    k.run(k.HERE / "start_node.sh", name)
