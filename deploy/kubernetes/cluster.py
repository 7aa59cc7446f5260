"""What is applied together, as objects, and what its rules ask about them."""
import copy
import json
import subprocess

import yaml

NAMESPACE = "waferstream"
ROLES = ("controller", "memoryx", "swarmx", "wafer")
NODES = ROLES[1:]
CLUSTERED = {"Namespace"}  # kinds that are in no namespace


def render(folder):
    built = subprocess.run(["kustomize", "build", folder], check=False, capture_output=True, text=True)
    if built.returncode != 0:
        raise ValueError(built.stderr)
    return [o for o in yaml.safe_load_all(built.stdout) if o]


def name_of(thing):
    return thing["metadata"]["name"]


def label(thing):
    return f"{thing['kind']} {name_of(thing)}"


def selects(selector, labels):
    """A LabelSelector, or the plain labels of a Service."""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions", []):
        if term["operator"] != "In" or labels.get(term["key"]) not in term["values"]:
            return False
    return True


class Cluster:
    """`job_file` is what the cluster is sized for."""

    def __init__(self, name, objects, job_file):
        self.name = name
        self.objects = objects
        self.job_file = job_file

    def changed(self, change):
        """A copy, in which `change` has done something."""
        other = Cluster(self.name, copy.deepcopy(self.objects), self.job_file)
        change(other)
        return other

    def of(self, *kinds):
        return [o for o in self.objects if o["kind"] in kinds]

    def get(self, kind, name):
        return next((o for o in self.of(kind) if name_of(o) == name), None)

    def workloads(self):
        return self.of("StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob")

    def role(self, role):
        return self.get("StatefulSet", f"waferstream-{role}")

    def pod(self, role):
        return self.role(role)["spec"]["template"]["spec"]

    def container(self, role):
        return self.pod(role)["containers"][0]

    def pods(self):
        """(who, workload, template) of every workload."""
        return [(label(w), w, w["spec"]["template"]) for w in self.workloads()]

    def containers(self):
        """(who, workload, container), initial ones too."""
        for who, workload, template in self.pods():
            spec = template["spec"]
            for container in spec.get("initContainers", []) + spec["containers"]:
                yield f"{who}/{container['name']}", workload, container

    def selected(self, selector):
        return [w for _, w, t in self.pods() if selects(selector, t["metadata"]["labels"])]

    def dashboard_queries(self):
        """(title, PromQL) of every panel."""
        for o in self.of("ConfigMap"):
            if "grafana_dashboard" in o["metadata"].get("labels", {}):
                for panel in json.loads(o["data"]["dashboard.json"])["panels"]:
                    for target in panel["targets"]:
                        yield panel["title"], target["expr"]

    def variables(self, container):
        """Environment of a container, as far as it is known here."""
        values = {}
        for source in container.get("envFrom", []):
            found = self.get("ConfigMap", source["configMapRef"]["name"])
            values.update(found["data"] if found else {})
        for entry in container.get("env", []):
            values[entry["name"]] = entry.get("value", "")
        return values

    def flags(self, container):
        """--name value of a container: arguments before variables. A switch has the value "true"."""
        values = {}
        for name, value in self.variables(container).items():
            if name.startswith("WAFERSTREAM_"):
                values[name.removeprefix("WAFERSTREAM_").lower().replace("_", "-")] = value
        for argument in container.get("args", []):
            if argument.startswith("--"):
                name, _, value = argument[2:].partition("=")
                values[name] = value or "true"
        return values
