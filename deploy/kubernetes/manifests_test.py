"""What is in deploy/kubernetes, on paper: every overlay is rendered, held against the schemas of several
versions of Kubernetes, and against the rules of rules.py and rules_between.py, each of which is also shown to find something."""
import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import kubernetes_validate
import yaml

import case_report
import cluster
import programs
import rules
import rules_between  # noqa: F401, its rules are in rules.RULES, too

OVERLAYS = pathlib.Path(__file__).parent / "overlays"
VERSIONS = ("1.29", "1.31", "1.33", "1.35", "1.37")
# What is applied together, and the job that it is sized for.
CLUSTERS = {
    "dev": (("dev", "submit"), "submit/job.yaml"),
    "production": (("production", "monitoring", "submit-production"), "submit-production/job.yaml"),
    "kueue": (("kueue",), "submit-production/job.yaml"),
}


@functools.cache
def rendered(overlay):
    return cluster.render(str(OVERLAYS / overlay))


@functools.cache
def assembled(name):
    overlays, job_file = CLUSTERS[name]
    objects = [o for overlay in overlays for o in rendered(overlay)]
    return cluster.Cluster(name, objects, str(OVERLAYS / job_file))


class Schemas(unittest.TestCase):
    """A case an overlay and version."""

    def check(self, overlay, version):
        for o in rendered(overlay):
            if o["kind"] in rules.CUSTOM:
                continue  # no schema of Kubernetes'
            try:
                self.assertEqual(kubernetes_validate.validate(o, version, strict=True), version)
            except kubernetes_validate.ValidationError as error:
                self.fail(f"{cluster.label(o)}: {'.'.join(map(str, error.path))}: {error.message}")

    def test_a_misspelt_field_is_found(self):
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
                   "spec": {"clusterIP": "None", "publishNotReadyAdresses": True}}
        for version in VERSIONS:
            with self.assertRaises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(service, version, strict=True)

    def test_every_overlay_is_of_a_cluster(self):
        known = {overlay for overlays, _ in CLUSTERS.values() for overlay in overlays}
        self.assertEqual(known, {f.parent.name for f in OVERLAYS.glob("*/kustomization.yaml")})


class Rules(unittest.TestCase):
    """Two cases a rule: every cluster keeps it, and one that was broken does not."""

    def keeps(self, rule):
        found = {name: complaints for name in CLUSTERS if (complaints := list(rule(assembled(name))))}
        self.assertEqual(found, {})

    def finds(self, rule, breaks, on):
        self.assertNotEqual(list(rule(assembled(on).changed(breaks))), [])


class Alerts(unittest.TestCase):
    def promtool(self, *arguments):
        if shutil.which("promtool") is None:
            self.skipTest("no promtool (scripts/get_promtool.sh)")
        ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        spec = assembled("production").get("PrometheusRule", "waferstream")["spec"]
        (self.folder / "alerts.json").write_text(json.dumps(spec), encoding="utf-8")

    def test_they_are_valid(self):
        self.promtool("check", "rules", str(self.folder / "alerts.json"))

    def test_they_come_when_they_should(self):
        shutil.copy(OVERLAYS / "monitoring/alerts_test.yaml", self.folder)
        self.promtool("test", "rules", str(self.folder / "alerts_test.yaml"))

    # A rule file is any list of expressions.
    def test_the_dashboards_queries_are_valid(self):
        queries = [{"record": "x", "expr": e} for _, e in assembled("production").dashboard_queries()]
        self.assertNotEqual(queries, [])
        for number, query in enumerate(queries):
            query["record"] = f"panel:{number}"
        recorded = {"groups": [{"name": "dashboard", "rules": queries}]}
        (self.folder / "queries.json").write_text(json.dumps(recorded), encoding="utf-8")
        self.promtool("check", "rules", str(self.folder / "queries.json"))


def first_cells(path, heading):
    """Of the rows of the table whose head begins so; links are taken for their text."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    rows = text[text.index(f"| {heading} |"):].split("\n\n")[0].splitlines()[2:]
    return [re.sub(r" \(\[.*?\)\)| \(.*\]\(.*?\)\)", "", row.split(" | ")[0][2:]).strip() for row in rows]


class Runbook(unittest.TestCase):
    def test_it_has_every_alert(self):
        groups = assembled("production").get("PrometheusRule", "waferstream")["spec"]["groups"]
        alerts = [rule["alert"] for group in groups for rule in group["rules"]]
        self.assertEqual(first_cells("docs/RUNBOOK.md", "alert"), alerts)

    def test_it_has_every_failure(self):
        self.assertEqual(first_cells("docs/RUNBOOK.md", "what fails"), first_cells("docs/FAILURE.md", "what fails"))


class Compose(unittest.TestCase):
    """deploy/compose.yaml: one host."""

    def services(self):
        return yaml.safe_load(pathlib.Path("deploy/compose.yaml").read_text(encoding="utf-8"))["services"].items()

    def test_every_program_takes_what_it_is_given(self):
        for name, service in self.services():
            program, *arguments = service.get("command") or [*service["entrypoint"], "--file=job.yaml"]
            self.assertEqual(programs.complaint(program, arguments, service["environment"]), "", name)

    def test_every_process_is_held_as_in_a_pod(self):
        for name, service in self.services():
            held = (service["read_only"], service["cap_drop"], service["security_opt"])
            self.assertEqual(held, (True, ["ALL"], ["no-new-privileges"]), name)

    def test_its_image_is_that_of_the_manifests(self):
        images = {service["image"] for _, service in self.services()}
        self.assertEqual(images, {assembled("dev").container("wafer")["image"]})


def add_case(suite, name, run):
    setattr(suite, f"test_{name}", run)


for _overlay in (o for overlays, _ in CLUSTERS.values() for o in overlays):
    for _version in VERSIONS:
        add_case(Schemas, f"{_overlay}_{_version}".replace(".", "_"),
                 functools.partialmethod(Schemas.check, _overlay, _version))
for _rule, _breaks, _on in rules.RULES:
    add_case(Rules, _rule.__name__, functools.partialmethod(Rules.keeps, _rule))
    add_case(Rules, f"{_rule.__name__}_or_is_found",
             functools.partialmethod(Rules.finds, _rule, _breaks, _on))

if __name__ == "__main__":
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    sys.exit(case_report.main(unittest.TestSuite(map(load, (Schemas, Rules, Alerts, Runbook, Compose)))))
