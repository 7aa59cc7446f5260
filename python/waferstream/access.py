"""Which controller to talk to, and what it is shown: found as waferctl finds it (docs/CLI.md)."""

from __future__ import annotations

import ipaddress
import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from waferstream.errors import NotFoundError, UnreachableError, UsageError
from waferstream.private_files import read_private
from waferstream.proof import Secret

_TOKEN_MEANING = "one line, as `waferctl users add` writes it"


@dataclass(frozen=True)
class Flags:
    """As waferctl's flags of the same names; None: the environment's WAFERSTREAM_..., or none."""

    controller: str | None = None
    secret_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    tls_crl: str | None = None
    token_file: str | None = None

    def completed(self) -> Flags:
        return Flags(**{name: _given(name, value) for name, value in vars(self).items()})

    def arguments(self) -> list[str]:
        """The same for a waferctl command."""
        return [
            part
            for name, value in vars(self).items()
            if value is not None
            for part in (f"--{name.replace('_', '-')}", value)
        ]


@dataclass(frozen=True)
class Access:
    """A controller, and the flags that say the same to waferctl."""

    host: str
    port: int
    flags: Flags
    secret: Secret | None
    token: str | None

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find_access(flags: Flags) -> Access:
    """The first of: the argument, the variable, the cluster that `waferctl up` left running."""
    flags = flags.completed()
    _check_tls(flags)
    address = flags.controller or _address_of_own_cluster()
    host, port = split_address("controller", address)
    secret_file = flags.secret_file or _secret_file_of(address)
    return Access(
        host=host,
        port=port,
        flags=Flags(**{**vars(flags), "controller": address, "secret_file": secret_file}),
        secret=_read_secret(secret_file) if secret_file else None,
        token=_read_token(flags, host),
    )


def split_address(field: str, address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise UsageError(f"{field}: {address!r} is not host:port")
    if not 0 < int(port) < 65536:
        raise UsageError(f"{field}: the port of {address!r} is not within 1 to 65535")
    return host, int(port)


def _given(name: str, value: str | None) -> str | None:
    variable = f"WAFERSTREAM_{name.upper()}"
    source = name if value is not None else variable
    value = value if value is not None else os.environ.get(variable)
    if value == "":
        raise UsageError(f"{source}: is empty")
    return value


def _check_tls(flags: Flags) -> None:
    needed = (flags.tls_cert, flags.tls_key, flags.tls_ca)
    if any(needed) and not all(needed):
        raise UsageError("tls_cert, tls_key and tls_ca: give all of them or none")
    if flags.tls_crl and not any(needed):
        raise UsageError("tls_crl: needs tls_cert, tls_key and tls_ca")


def _cluster_folder() -> Path:
    """Where `waferctl up` keeps the one cluster of this user."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "waferstream" / "cluster"
    home = os.environ.get("HOME", "")
    if not home.startswith("/"):
        home = pwd.getpwuid(os.geteuid()).pw_dir
    return Path(home) / ".local" / "state" / "waferstream" / "cluster"


def _controller_in(folder: Path) -> str:
    """Of the cluster in the folder; empty: none is up."""
    try:
        found = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))["controller"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def _address_of_own_cluster() -> str:
    found = _controller_in(_cluster_folder())
    if found:
        return found
    raise UnreachableError(
        "controller: none is known; give one (host:port), set WAFERSTREAM_CONTROLLER, or start a "
        "cluster with `waferctl up`"
    )


def _secret_file_of(address: str) -> str | None:
    """Of the cluster of this user that has this controller: no other's is shown its secret."""
    own = _cluster_folder()
    candidates = [own]
    link = own.with_name("clusters") / address
    if link.is_symlink():
        candidates.append(Path(os.readlink(link)))
    for folder in candidates:
        secret = folder / "state" / "secret"
        if _controller_in(folder) == address and secret.exists():
            return str(secret)
    return None


def _read_secret(path: str) -> Secret:
    secret = Secret.parse(read_private(path))
    if secret is None:
        raise UsageError(f"{path}: is not a cluster's secret (64 hex digits)")
    return secret


def _read_token(flags: Flags, host: str) -> str | None:
    if flags.token_file is None:
        return None
    token = read_private(flags.token_file).strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"token_file: {flags.token_file}: holds no token ({_TOKEN_MEANING})")
    if flags.tls_cert is None and not is_loopback(host):
        raise UsageError(
            f"token_file: the token would be sent in the clear to {host}; give tls_cert, tls_key "
            "and tls_ca"
        )
    return token


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_bytes(field: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{field}: {path}: is not there") from None
    except OSError as error:
        raise UsageError(f"{field}: {path}: {error.strerror}") from None
