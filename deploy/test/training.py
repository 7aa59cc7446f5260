"""A job, submitted from the workstation, and its end."""
import json
import os
import signal
import subprocess
import threading

import certificates
import kubernetes as k

FLAGS = ["--controller", "localhost:7000", *certificates.FLAGS]


SUBMITTED = []  # names of all jobs


def waferctl(*arguments, **kwargs):
    return k.workstation("waferctl", *arguments, *FLAGS, **kwargs)


class Training:
    """Submitted when made; `name` is the job's, its request's and its folder's."""

    def __init__(self, name, *settings):
        self.name = name
        SUBMITTED.append(name)
        settings = [f"name={name}", f"checkpoint.dir=/shared/checkpoints/{name}", *settings]
        arguments = ["submit", "--file", "/job.yaml", "--wait", "--patience", "300", "--request-id", name,
                     "--output", "json", *(a for s in settings for a in ("--set", s)), *FLAGS]
        self.process = subprocess.Popen(k.on_workstation("waferctl", *arguments),
                                        env={"PATH": "/usr/bin"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def now(self):
        """What the controller says of it, or nothing while it cannot be asked."""
        listed = waferctl("list", "--output", "json", check=False)
        jobs = json.loads(listed.stdout) if listed.returncode == 0 else []
        return next((j for j in jobs if j["name"] == self.name), None)

    def reach(self, step, seconds=60):
        """Waits until so many steps are committed."""
        def reached():
            if self.process.poll() is not None:
                raise k.Failed(f"{self.name}: ended too early: {self.process.communicate()}")
            job = self.now()
            return job and job["step"] >= step and job
        return k.until(f"{self.name}: step {step}", reached, seconds)

    def commits(self, steps):
        """Waits until it has committed so many steps more."""
        job = k.until("the controller answers", self.now, 60)
        self.reach(job["step"] + steps)

    def end(self, seconds):
        """What it was in the end."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise k.Failed(f"{self.name}: not done within {seconds} s: {self.process.communicate()[1]}") from None
        if not out:
            raise k.Failed(f"{self.name}: {err}")
        return json.loads(out)

    def give_up(self):
        self.process.kill()
        if job := self.now():
            waferctl("cancel", job["job"], check=False)


class Series:
    """Trainings one after the other, in a thread, until its end."""

    def __init__(self, name):
        self.name = name
        self.trainings = []
        self.results = []
        self.error = None
        self.over = threading.Event()
        self._next()
        self.thread = threading.Thread(target=self._go_on)
        self.thread.start()

    def _next(self):
        self.trainings.append(Training(f"{self.name}-{len(self.trainings)}"))

    def _go_on(self):
        try:
            self.results.append(self.trainings[-1].end(600))
            while not self.over.is_set():
                self._next()
                self.results.append(self.trainings[-1].end(600))
        except k.Failed as failed:
            self.error = failed

    def first(self):
        return self.trainings[0]

    def give_up(self):
        self.over.set()
        self.trainings[-1].give_up()
        self.thread.join()

    def end(self):
        """What they were in the end, once the last one has ended."""
        self.over.set()
        self.thread.join()
        if self.error:
            raise self.error
        return self.results


class PortForward:
    """The controller's port on the workstation, again and again: it ends with the pod that it leads to."""

    def __init__(self):
        loop = (f"while :; do kubectl --namespace {k.NAMESPACE} port-forward service/waferstream-controller 7000; "
                "sleep 0.3; done")
        self.process = subprocess.Popen(["bash", "-c", loop], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)

    def renew(self):
        """Who speaks with a host that is gone waits for long."""
        k.run("pkill", "-KILL", "-P", self.process.pid)

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
