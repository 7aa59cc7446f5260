"""The Kubernetes of up.sh, and the host beside it from which people use a cluster."""
import contextlib
import json
import os
import pathlib
import subprocess
import time

NAMESPACE = "waferstream"
CLUSTER = pathlib.Path(os.environ.get("CLUSTER", "/nowhere"))
VOLUMES = CLUSTER / "volumes"
WORKSTATION = CLUSTER / "workstation"  # the image's files, and people's
HERE = pathlib.Path(__file__).resolve().parent


class Failed(AssertionError):
    pass


def run(*arguments, check=True, **kwargs):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False, **kwargs)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, arguments))}: code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def kubectl(*arguments, **kwargs):
    return run("kubectl", "--namespace", NAMESPACE, *arguments, **kwargs).stdout


def apply(overlay, change=lambda manifests: manifests):
    kubectl("apply", "--server-side", "--filename=-",
            input=change(run("kubectl", "kustomize", HERE / "overlays" / overlay).stdout))


def get(kind, name=None):
    """An object, or all of a kind."""
    found = json.loads(kubectl("get", kind, *([name] if name else []), "--output=json"))
    return found if name else found["items"]


def until(what, condition, seconds):
    """Waits for a condition and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.3)


def is_ready(pod):
    return not pod["metadata"].get("deletionTimestamp") and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def pods(role):
    return [p for p in get("pods") if p["metadata"]["labels"].get("app.kubernetes.io/name") == f"waferstream-{role}"]


def all_ready():
    """Every StatefulSet has all its pods, ready, and of the newest description."""
    for workload in get("statefulset"):
        status = workload["status"]
        wanted = workload["spec"]["replicas"]
        if (status.get("observedGeneration"), status.get("readyReplicas"), status.get("updatedReplicas")) != (
                workload["metadata"]["generation"], wanted, wanted):
            return False
    return all(map(is_ready, (p for p in get("pods") if "waferstream-submit" not in name_of(p))))


def name_of(thing):
    return thing["metadata"]["name"]


def node_of(pod):
    return get("pod", pod)["spec"]["nodeName"]


def pods_on(node):
    """Those of a role."""
    return [name_of(p) for p in get("pods") if p["spec"].get("nodeName") == node
            and "waferstream-submit" not in name_of(p)]


def evict(pod):
    """As `kubectl drain` does it, but once."""
    return run("kubectl", "create", "--filename=-", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction",
               input=json.dumps({"apiVersion": "policy/v1", "kind": "Eviction",
                                 "metadata": {"name": pod, "namespace": NAMESPACE}}), check=False)


def volume(pod, name):
    return next(v for v in pod["spec"]["volumes"] if v["name"] == name)


def end_of(pod):
    statuses = get("pod", pod)["status"].get("containerStatuses", [])
    return statuses and statuses[0]["state"].get("terminated")


def last_end(pod):
    """How its container ended that ran before the present one, if there was one."""
    statuses = get("pod", pod)["status"].get("containerStatuses", [])
    return statuses and statuses[0].get("lastState", {}).get("terminated")


def pod_like(role, name):
    """A pod as the StatefulSet of a role makes them, that nothing selects."""
    template = get("statefulset", f"waferstream-{role}")["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {**template["spec"], "restartPolicy": "Never"}}


def create(thing, **kwargs):
    return run("kubectl", "--namespace", NAMESPACE, "create", "--filename=-", input=json.dumps(thing), **kwargs)


def process_of(pod, program):
    """The number, in these namespaces, of the program in a pod."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (folder / "cmdline").read_text().split("\0")
            environment = (folder / "environ").read_text()
            if argv[0] == program and f"\0HOSTNAME={pod}\0" in f"\0{environment}":
                return int(folder.name)
    raise Failed(f"{pod}: {program} does not run")


def on_workstation(*arguments):
    """What runs a command there, as somebody who is not root."""
    return ["/usr/sbin/chroot", "--userspec=10001:10001", str(WORKSTATION), *arguments]


def workstation(*arguments, **kwargs):
    return run(*on_workstation(*arguments), env={"PATH": "/usr/bin"}, **kwargs)


def make_workstation():
    """It has the volume that pods have as /shared at the same place: `submit` reads the token files through."""
    (WORKSTATION / "image").mkdir(parents=True)
    run("tar", "-C", WORKSTATION / "image", "-xf", os.environ["IMAGE"])
    run("tar", "-C", WORKSTATION, "-xf", WORKSTATION / "image/layer.tar")
    (WORKSTATION / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for folder in ("proc", "dev", "shared"):
        (WORKSTATION / folder).mkdir()
    run("chown", "10001:10001", WORKSTATION)
    run("mount", "--bind", "/proc", WORKSTATION / "proc")
    run("mount", "--bind", "/dev", WORKSTATION / "dev")


def share(volume):
    """The workstation's /shared is this volume from now on."""
    run("umount", WORKSTATION / "shared", check=False)
    run("mount", "--bind", VOLUMES / volume, WORKSTATION / "shared")
