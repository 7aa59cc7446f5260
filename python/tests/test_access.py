"""Which controller is found, and who is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

import waferstream
from waferstream import Client
from waferstream._proto import controller_pb2, controller_pb2_grpc
from waferstream.access import Flags, find_access, split_address
from waferstream.proof import Secret
from waferstream.waferctl import run_waferctl

SECRET = "5e" * 32


def up(home: Path, address: str, secret: str = SECRET) -> Path:
    """What `waferctl up` leaves of a cluster."""
    folder = home / "waferstream" / "cluster"
    (folder / "state").mkdir(parents=True)
    (folder / "cluster.json").write_text(json.dumps({"controller": address}))
    file = folder / "state" / "secret"
    file.write_text(secret + "\n")
    file.chmod(0o600)
    return file


def test_the_argument_goes_before_the_variable_and_that_before_the_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(waferstream.UnreachableError, match="none is known"):
        find_access(Flags())
    up(tmp_path / "state-home", "127.0.0.1:71")
    assert find_access(Flags()).address == "127.0.0.1:71"
    monkeypatch.setenv("WAFERSTREAM_CONTROLLER", "127.0.0.1:72")
    assert find_access(Flags()).address == "127.0.0.1:72"
    assert find_access(Flags(controller="[::1]:73")).address == "[::1]:73"


def test_a_secret_is_for_the_cluster_that_it_belongs_to(tmp_path: Path) -> None:
    own = up(tmp_path / "state-home", "127.0.0.1:71")
    assert find_access(Flags(controller="127.0.0.1:71")).secret == Secret.parse(SECRET)
    assert find_access(Flags(controller="127.0.0.1:72")).secret is None
    link = tmp_path / "state-home" / "waferstream" / "clusters" / "127.0.0.1:74"
    link.parent.mkdir()
    secret = up(tmp_path / "second", "127.0.0.1:74")
    link.symlink_to(secret.parent.parent)
    assert find_access(Flags(controller="127.0.0.1:74")).secret is not None
    own.chmod(0o644)
    with pytest.raises(waferstream.DeniedError, match=str(own)):
        find_access(Flags())


@pytest.mark.parametrize("text", ["", "5e" * 31, "zz" * 32])
def test_what_is_no_secret_is_refused(tmp_path: Path, text: str) -> None:
    up(tmp_path / "state-home", "127.0.0.1:71", text)
    with pytest.raises(waferstream.UsageError, match="is not a cluster's secret"):
        find_access(Flags())


@pytest.mark.parametrize(
    "text", ["host", "host:", ":1", "host:0", "host:70000", "http://h:1", "a:b:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(waferstream.UsageError, match="controller: "):
        split_address("controller", text)


def test_an_empty_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAFERSTREAM_CONTROLLER", "")
    with pytest.raises(waferstream.UsageError, match="WAFERSTREAM_CONTROLLER: is empty"):
        Client()


def test_a_token_is_not_sent_in_the_clear_to_other_hosts(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wst_abc\n")
    file.chmod(0o600)
    assert find_access(Flags("127.0.0.1:1", token_file=str(file))).token == "wst_abc"
    with pytest.raises(waferstream.UsageError, match="in the clear"):
        find_access(Flags("192.0.2.1:1", token_file=str(file)))


class Stranger(controller_pb2_grpc.ControllerServicer):  # type: ignore[misc]
    """Listens where a controller was, and knows no secret."""

    def List(self, request: Any, context: Any) -> Any:  # noqa: N802
        return controller_pb2.JobList(jobs=[controller_pb2.JobStatus(job_id="false")])

    def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.NOT_FOUND, "a lie")

    def Watch(self, request: Any, context: Any) -> Any:  # noqa: N802
        yield controller_pb2.JobStatus(job_id="false", state=controller_pb2.DONE)


def serve(credentials: Any = None) -> tuple[grpc.Server, int]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    controller_pb2_grpc.add_ControllerServicer_to_server(Stranger(), server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    return server, port


@pytest.fixture
def stranger() -> Iterator[int]:
    server, port = serve()
    yield port
    server.stop(0).wait()


def test_a_strangers_word_is_not_believed(tmp_path: Path, stranger: int) -> None:
    up(tmp_path / "state-home", f"127.0.0.1:{stranger}")
    with Client() as client:
        for ask in (client.list, lambda: client.get("x"), lambda: list(client.watch("x"))):
            with pytest.raises(waferstream.DeniedError, match="does not know the cluster's secret"):
                ask()


def test_without_a_secret_everybody_is_believed(stranger: int) -> None:
    with Client(f"127.0.0.1:{stranger}") as client:
        assert [job.id for job in client.list()] == ["false"]
        with pytest.raises(waferstream.NotFoundError, match="a lie"):
            client.get("x")


def test_another_secret_is_refused(client: Client, tmp_path: Path) -> None:
    file = up(tmp_path / "other", client.address)
    wrong = Client(client.address, secret_file=str(file))
    with wrong, pytest.raises(waferstream.DeniedError, match="another secret"):
        wrong.list()


@pytest.fixture
def certificates(tmp_path: Path, waferctl: str) -> Path:
    folder = tmp_path / "certs"
    run_waferctl(waferctl, ["certs", "init", "--dir", str(folder)], timeout_s=30)
    for role in ("controller", "wafer", "user"):
        issue = ["certs", "issue", "--dir", str(folder), "--role", role, "--name", role]
        run_waferctl(waferctl, [*issue, "--host", "127.0.0.1"], timeout_s=30)
    return folder


def serve_as(certificates: Path, role: str) -> tuple[grpc.Server, Flags]:
    pair = (
        (certificates / f"{role}.key").read_bytes(),
        (certificates / f"{role}.crt").read_bytes(),
    )
    authority = (certificates / "ca.crt").read_bytes()
    server, port = serve(grpc.ssl_server_credentials([pair], authority, True))
    files = {
        f"tls_{what}": str(certificates / f"user.{end}")
        for what, end in (("cert", "crt"), ("key", "key"))
    }
    return server, Flags(f"127.0.0.1:{port}", tls_ca=str(certificates / "ca.crt"), **files)


def connect(flags: Flags) -> Client:
    files = vars(flags)
    return Client(files["controller"], **{k: v for k, v in files.items() if k.startswith("tls_")})


def test_under_tls_a_controllers_certificate_is_believed_and_no_other(certificates: Path) -> None:
    server, flags = serve_as(certificates, "controller")
    with connect(flags) as client:
        assert len(client.list()) == 1
    server.stop(0).wait()
    server, flags = serve_as(certificates, "wafer")
    with pytest.raises(waferstream.DeniedError, match="certificate is not a controller's"):
        connect(flags)
    server.stop(0).wait()


def test_who_is_revoked_is_not_believed(certificates: Path, waferctl: str) -> None:
    server, flags = serve_as(certificates, "controller")
    revoke = ["certs", "revoke", "--dir", str(certificates), "--name", "controller"]
    listed = run_waferctl(waferctl, revoke, timeout_s=30).strip()
    with pytest.raises(waferstream.DeniedError, match="revoked"):
        connect(Flags(**{**vars(flags), "tls_crl": listed}))
    server.stop(0).wait()


def test_tls_files_come_together(certificates: Path) -> None:
    with pytest.raises(waferstream.UsageError, match="give all of them or none"):
        Client("127.0.0.1:1", tls_cert=str(certificates / "user.crt"))
