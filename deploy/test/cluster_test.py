"""The manifests on a real Kubernetes (up.sh), with jobs that train while things go wrong. However it goes, a job ends
in the hash of `waferctl run`. Cases of a class are in the order in which they are run, on one cluster."""
import contextlib
import json
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kubernetes"))
import case_report  # noqa: E402
import certificates  # noqa: E402
import faults  # noqa: E402
import kubernetes as k  # noqa: E402
import training  # noqa: E402

ROLES = ("controller", "memoryx", "swarmx", "wafer")
NODES = ("node1", "node2")
REFERENCE = {}  # what `waferctl run` said


def tokens(name, count):
    """Each is its predecessor and a little more."""
    state, token, out = 12345, 0, bytearray()
    for _ in range(count):
        state = (state * 1103515245 + 12345) % (1 << 31)
        token = (token + 1 + (state >> 16) % 3) % 256
        out += bytes((token, 0))
    (k.WORKSTATION / "shared" / name).write_bytes(out)


def make_files():
    tokens("train.bin", 200_000)
    tokens("validation.bin", 64 * 32 + 1)
    (k.WORKSTATION / "shared/checkpoints").mkdir()
    k.run("chown", "-R", "10001:10001", k.WORKSTATION / "shared")


def job_file(overlay):
    (k.WORKSTATION / "job.yaml").write_text((k.HERE / "overlays" / overlay / "job.yaml").read_text())


def run_reference():
    """The same job by one process and its children, without any Kubernetes."""
    done = k.workstation("waferctl", "run", "--file", "/job.yaml", "--output", "json", "--quiet",
                         "--run-dir", "/run-dir", "--set", "checkpoint.dir=/run-dir/checkpoints")
    REFERENCE.update(json.loads(done.stdout))


class OnKubernetes(unittest.TestCase):
    def is_as_if_nothing_had_been(self, result):
        self.assertEqual(result["state"], "DONE", result["reason"])
        for key in ("weights_hash", "optimizer_hash", "losses"):
            self.assertEqual(result[key], REFERENCE[key], key)

    def a_job_from_inside(self, overlay, change=lambda manifests: manifests):
        """A Kubernetes Job that submits and waits; what it printed, and how its last pod ended."""
        k.apply(overlay, change)
        self.addCleanup(k.kubectl, "delete", "job", "waferstream-submit")
        k.until("the Job's end", lambda: any(
            c["type"] in ("Complete", "Failed") for c in k.get("job", "waferstream-submit")["status"].get(
                "conditions", [])), 240)
        pod = k.name_of(k.pods("submit")[-1])
        return k.kubectl("logs", pod), k.end_of(pod)

    def a_job_from_inside_is_as_if_nothing_had_been(self, overlay):
        said, _ = self.a_job_from_inside(overlay)
        self.is_as_if_nothing_had_been(json.loads(said[said.index("{"):]))  # progress comes first


class Dev(OnKubernetes):
    @classmethod
    def setUpClass(cls):
        volumes = ("dev-shared", "dev-state")
        for volume in volumes:
            (k.VOLUMES / volume).mkdir()
        k.share("dev-shared")
        make_files()
        job_file("submit")
        k.apply("dev")

    def test_every_pod_becomes_ready(self):
        k.until("every pod is ready", k.all_ready, 300)

    def test_a_job_from_inside_ends_in_the_hash_of_run(self):
        run_reference()
        self.a_job_from_inside_is_as_if_nothing_had_been("submit")

    @classmethod
    def tearDownClass(cls):
        k.kubectl("delete", "namespace", k.NAMESPACE)


class Production(OnKubernetes):
    @classmethod
    def setUpClass(cls):
        for volume in ("production-shared", "production-state"):
            (k.VOLUMES / volume).mkdir()
        k.share("production-shared")
        make_files()
        job_file("submit-production")
        k.kubectl("create", "namespace", k.NAMESPACE)
        certificates.make()
        k.apply("production")
        k.until("every pod is ready", k.all_ready, 300)
        cls.port_forward = training.PortForward()

    @classmethod
    def tearDownClass(cls):
        cls.port_forward.close()

    @contextlib.contextmanager
    def while_it_trains(self):
        """Jobs one after the other, until what is done here is done and the last one has ended."""
        series = training.Series(self.id().rpartition(".")[2].removeprefix("test_").replace("_", "-"))
        try:
            series.first().reach(20)
            yield series
        except BaseException:
            series.give_up()
            raise
        results = series.end()
        for result in results:
            self.is_as_if_nothing_had_been(result)

    def all_are_ready_again(self):
        k.until("every pod is ready again", k.all_ready, 300)

    # -- who may do what

    def test_what_the_restricted_standard_forbids_is_refused(self):
        pod = k.pod_like("wafer", "forbidden")
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        self.assertIn('violates PodSecurity "restricted', k.create(pod, check=False).stderr)

    def test_without_a_certificate_nobody_is_heard(self):
        said = k.workstation("waferctl", "list", "--controller", "localhost:7000", check=False)
        self.assertIn(said.returncode, (4, 5), said.stderr)

    # -- trainings

    def test_a_job_from_inside(self):
        self.a_job_from_inside_is_as_if_nothing_had_been("submit-production")

    def test_a_job_from_outside(self):
        self.is_as_if_nothing_had_been(training.Training("from-outside").end(240))

    def test_a_rolling_restart_of_every_role(self):
        with self.while_it_trains():
            for role in ROLES:
                k.kubectl("rollout", "restart", f"statefulset/waferstream-{role}")
                k.kubectl("rollout", "status", f"statefulset/waferstream-{role}", "--timeout=300s")
                self.all_are_ready_again()

    def test_a_pod_of_each_role_is_deleted(self):
        with self.while_it_trains():
            for role in ROLES:
                k.kubectl("delete", "pod", f"waferstream-{role}-0")
                self.all_are_ready_again()

    def test_one_is_killed_by_its_memory_limit(self):
        pod = "waferstream-wafer-1"
        with self.while_it_trains():
            faults.exceed_memory_limit(k.process_of(pod, "wafer_node"))
            ended = k.until("it was killed", lambda: k.last_end(pod), 60)
            self.assertEqual(ended["reason"], "OOMKilled")
            self.all_are_ready_again()

    # 30 s until nobody believes in it any more, and 10 s more.
    def test_one_that_hangs_is_replaced(self):
        pod = "waferstream-memoryx-1"
        with self.while_it_trains():
            before = k.last_end(pod)
            os.kill(k.process_of(pod, "memoryx"), signal.SIGSTOP)
            k.until("it was killed", lambda: k.last_end(pod) != before, 70)
            self.all_are_ready_again()

    # -- nodes

    # The job that is at work goes on with what is left, before anybody knows; the next one needs all nodes to begin.
    def test_a_node_is_lost(self):
        lost = next(n for n in NODES if n != k.node_of("waferstream-controller-0"))
        with self.while_it_trains() as series:
            faults.lose_node(lost)
            series.first().commits(10)
            self.administrators_do_what_is_asked_of_them(lost)

    def test_a_node_is_drained(self):
        node = k.node_of("waferstream-controller-0")
        wafers = [k.name_of(p) for p in k.pods("wafer") if p["spec"]["nodeName"] == node]
        self.assertGreaterEqual(len(wafers), 2)
        with self.while_it_trains():
            k.kubectl("cordon", node)
            self.assertEqual(k.evict(wafers[0]).returncode, 0)
            self.assertIn("disruption budget", k.evict(wafers[1]).stderr)
            k.kubectl("drain", node, "--delete-emptydir-data", "--timeout=300s")
            self.assertEqual(k.pods_on(node), [])
            k.kubectl("uncordon", node)
            self.all_are_ready_again()

    def test_the_node_with_the_controller_is_lost(self):
        lost = k.node_of("waferstream-controller-0")
        with self.while_it_trains():
            faults.lose_node(lost)
            self.administrators_do_what_is_asked_of_them(lost)

    def administrators_do_what_is_asked_of_them(self, lost):
        """They say that a host is off, so that its pods may be elsewhere, and some time later it is back."""
        k.until("its loss is seen", lambda: not k.is_ready(k.get("node", lost)), 60)
        k.kubectl("taint", "node", lost, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
        k.until("its pods are gone", lambda: not k.pods_on(lost), 120)
        self.port_forward.renew()
        faults.start_node(lost)
        k.until("the node is back", lambda: k.is_ready(k.get("node", lost)), 60)
        k.kubectl("taint", "node", lost, "node.kubernetes.io/out-of-service-")
        self.all_are_ready_again()

    # After all of the above: its volume went with it.
    def test_the_controller_still_knows_every_job(self):
        known = {job["name"] for job in json.loads(training.waferctl("list", "--output", "json").stdout)}
        self.assertLessEqual(set(training.SUBMITTED), known)

    # -- pods that cannot start say why, in the last line of their status

    def says(self, pod, pattern):
        name = k.name_of(pod)
        k.create(pod)
        ended = k.until(f"{name} ended", lambda: k.end_of(name), 60)
        k.kubectl("delete", "pod", name)
        self.assertNotEqual(ended["exitCode"], 0)
        self.assertRegex(ended["message"].splitlines()[-1], pattern)

    def test_a_variable_that_no_program_knows(self):
        pod = k.pod_like("swarmx", "unknown-variable")
        pod["spec"]["containers"][0]["env"].append({"name": "WAFERSTREAM_LEASE", "value": "1"})
        self.says(pod, ".*WAFERSTREAM_LEASE.*")

    def test_a_certificate_that_does_not_match_its_key(self):
        certificates.secret("mismatched", "wafer.crt", "memoryx.key")
        pod = k.pod_like("wafer", "mismatched")
        k.volume(pod, "tls")["secret"]["secretName"] = "mismatched"
        self.says(pod, ".*tls.key.*")

    def test_a_state_that_is_read_only(self):
        pod = k.pod_like("controller", "read-only")
        pod["spec"]["volumes"].append({"name": "state", "emptyDir": {}})
        mounts = pod["spec"]["containers"][0]["volumeMounts"]
        next(m for m in mounts if m["name"] == "state")["readOnly"] = True
        self.says(pod, ".*/state.*[Rr]ead-only file system.*")

    # As much memory as the limit of a pod allows is not there, which MemoryX sees before it is killed for it.
    def test_a_plan_larger_than_the_pods(self):
        def larger(manifests):
            for old, new in (("layers: 2, hidden: 64, heads: 2", "layers: 16, hidden: 2048, heads: 16"),
                             ("sram: 64MiB", "sram: 4GiB"), ("checkpoints/inside", "checkpoints/larger")):
                self.assertIn(old, manifests)
                manifests = manifests.replace(old, new)
            return manifests

        _, ended = self.a_job_from_inside("submit-production", larger)
        self.assertEqual(ended["exitCode"], 1)
        self.assertRegex(ended["message"], "Prepare on waferstream-memoryx-.*: cannot reserve .* bytes of memory")


def suite():
    """Cases in the order of their definition."""
    cases = unittest.TestSuite()
    for group in (Dev, Production):
        cases.addTests(group(name) for name in vars(group) if name.startswith("test_"))
    return cases


if __name__ == "__main__":
    k.make_workstation()
    sys.exit(case_report.main(suite()))
