"""The manifests on a real Kubernetes (up.sh), with jobs that train while things go wrong. However it goes, a job ends
in the hash of `waferctl run`. Cases of a class are in the order in which they are run, on one cluster."""
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
    done = k.workstation("waferctl", "run", "--file", "/job.yaml", "--output", "json", "--quiet", "--run-dir", "/run-dir",
                         "--set", "checkpoint.dir=/run-dir/checkpoints")
    REFERENCE.update(json.loads(done.stdout))


class OnKubernetes(unittest.TestCase):
    def is_as_if_nothing_had_been(self, result):
        self.assertEqual(result["state"], "DONE", result["reason"])
        for key in ("weights_hash", "optimizer_hash", "losses"):
            self.assertEqual(result[key], REFERENCE[key], key)

    def a_job_from_inside(self, overlay):
        """A Kubernetes Job that submits and waits; what it printed."""
        k.apply(overlay)
        k.until("the Job's end", lambda: any(
            c["type"] in ("Complete", "Failed") for c in k.get("job", "waferstream-submit")["status"].get(
                "conditions", [])), 240)
        said = k.kubectl("logs", "job/waferstream-submit")
        k.kubectl("delete", "job", "waferstream-submit")
        return json.loads(said[said.index("{"):])  # progress comes first


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
        k.until("every pod is ready", k.all_ready, 120)

    def test_a_job_from_inside_ends_in_the_hash_of_run(self):
        run_reference()
        self.is_as_if_nothing_had_been(self.a_job_from_inside("submit"))

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
        k.until("every pod is ready", k.all_ready, 120)
        cls.port_forward = training.PortForward()
        cls.jobs = []

    @classmethod
    def tearDownClass(cls):
        cls.port_forward.close()

    def submit(self, name):
        job = training.Training(name)
        self.jobs.append(name)
        self.addCleanup(job.kill)
        job.reach(20)
        return job

    def ends_as_if_nothing_had_been(self, job):
        self.assertTrue(job.is_at_work(), "the fault was over before the job")
        self.is_as_if_nothing_had_been(job.end(300))

    def test_what_the_restricted_standard_forbids_is_refused(self):
        pod = k.pod_like("wafer", "forbidden")
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        self.assertIn('violates PodSecurity "restricted', k.create(pod, check=False).stderr)

    def test_a_job_from_inside_ends_in_the_hash_of_run(self):
        self.is_as_if_nothing_had_been(self.a_job_from_inside("submit-production"))

    def test_a_job_from_outside_ends_in_the_hash_of_run(self):
        self.ends_as_if_nothing_had_been(self.submit("outside"))

    def test_without_a_certificate_nobody_is_heard(self):
        said = k.workstation("waferctl", "list", "--controller", "localhost:7000", check=False)
        self.assertNotEqual(said.returncode, 0)

    def test_every_role_is_restarted(self):
        job = self.submit("restarted")
        for role in ROLES:
            k.kubectl("rollout", "restart", f"statefulset/waferstream-{role}")
            k.kubectl("rollout", "status", f"statefulset/waferstream-{role}", "--timeout=240s")
        self.ends_as_if_nothing_had_been(job)

    def test_a_pod_of_each_role_is_deleted(self):
        job = self.submit("deleted")
        for role in ROLES:
            k.kubectl("delete", "pod", f"waferstream-{role}-0")
            k.until(f"{role} is ready again", k.all_ready, 120)
        self.ends_as_if_nothing_had_been(job)

    def test_one_is_killed_by_its_memory_limit(self):
        job = self.submit("memory")
        faults.exceed_memory_limit(k.process_of("waferstream-wafer-1", "wafer_node"))
        ended = k.until("it was killed", lambda: k.last_end("waferstream-wafer-1"), 60)
        self.assertEqual(ended["reason"], "OOMKilled")
        k.until("it is ready again", k.all_ready, 120)
        self.ends_as_if_nothing_had_been(job)

    def test_one_is_not_alive(self):
        job = self.submit("not-alive")
        os.kill(k.process_of("waferstream-wafer-2", "wafer_node"), signal.SIGSTOP)
        k.until("it was killed", lambda: k.last_end("waferstream-wafer-2"), 120)
        k.until("it is ready again", k.all_ready, 120)
        self.ends_as_if_nothing_had_been(job)


def suite():
    """Cases in the order of their definition."""
    cases = unittest.TestSuite()
    for group in (Dev, Production):
        cases.addTests(group(name) for name in vars(group) if name.startswith("test_"))
    return cases


if __name__ == "__main__":
    k.make_workstation()
    sys.exit(case_report.main(suite()))
