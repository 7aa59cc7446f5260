"""What goes wrong with pods and nodes that Kubernetes itself would not do."""
import subprocess
import sys

# Whoever was placed there last would be as good a victim, if the system did not prefer pods.
EATER = """
import os, sys
pid, group = sys.argv[1:]
with open(group + "/cgroup.procs", "w") as procs: procs.write(str(os.getpid()))
eaten = []
while os.path.exists("/proc/" + pid): eaten.append(bytearray(b"x" * (16 << 20)))
"""


def exceed_memory_limit(process):
    """Uses memory on the account of a container until the system kills what runs there."""
    subprocess.run([sys.executable, "-c", EATER, str(process), group_of(process)], check=False, timeout=120)


def group_of(process):
    """The control group that has a process's memory."""
    with open(f"/proc/{process}/cgroup", encoding="utf-8") as groups:
        for line in groups:
            number, controllers, path = line.rstrip("\n").split(":", 2)
            if "memory" in controllers.split(","):
                return f"/sys/fs/cgroup/memory{path}"
            if number == "0":
                unified = path
    return f"/sys/fs/cgroup{unified}"
