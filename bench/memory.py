"""The memory of a process and all that it started, with shared pages counted once."""
import pathlib
import threading


def _tree(pid):
    yield pid
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _tree(int(child))


def _pss(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def total(pid):
    """Bytes of proportional set size; of processes that end meanwhile, nothing."""
    found = 0
    try:
        for process in _tree(pid):
            found += _pss(process)
    except OSError:
        pass
    return found


class Peak:
    """The most that total(pid) was, looked at every second until the block ends."""

    def __init__(self, pid):
        self.bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self):
        while not self._over.wait(1):
            self.bytes = max(self.bytes, total(self._pid))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
