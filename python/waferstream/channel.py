"""A gRPC channel to a controller, and calls on it that prove themselves and believe no stranger."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Optional

import grpc

from waferstream import errors
from waferstream._proto import controller_pb2_grpc
from waferstream.access import Access, read_bytes
from waferstream.proof import ANSWER_KEY, PROOF_KEY

_SERVICE = "waferstream.Controller"
_CONTROLLER_ROLE = "waferstream:controller"
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.keepalive_time_ms", 20000),
    ("grpc.keepalive_timeout_ms", 10000),
)
_PAUSE_S = 0.2

_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.UsageError,
    grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
    grpc.StatusCode.UNAVAILABLE: errors.UnreachableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.UnreachableError,
    grpc.StatusCode.PERMISSION_DENIED: errors.DeniedError,
    grpc.StatusCode.UNAUTHENTICATED: errors.DeniedError,
    grpc.StatusCode.CANCELLED: errors.CancelledError,
}
# What gRPC itself says when nobody answered, or a doorkeeper: no answer to believe in.
_UNPROVED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNAUTHENTICATED,
)


class ControllerChannel:
    """Calls of the service Controller. Thread-safe, as a gRPC channel is."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._channel = _open(access)
        stub: Any = controller_pb2_grpc.ControllerStub  # generated, without types
        self._stub = stub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def call(self, method: str, request: Any, timeout_s: float) -> Any:
        """The answer. What was refused unheard or unreached is tried again while there is time."""
        deadline = time.monotonic() + timeout_s
        while True:
            proof, metadata = self._metadata()
            left = max(deadline - time.monotonic(), 0.001)
            try:
                answer, call = getattr(self._stub, method).with_call(
                    request, timeout=left, metadata=metadata
                )
            except grpc.RpcError as error:
                self._believe_error(proof, error)
                restarting = _code(error) is grpc.StatusCode.UNAVAILABLE and _was_heard(error)
                if not restarting or time.monotonic() + _PAUSE_S > deadline:
                    raise self._as_error(error) from None
                time.sleep(_PAUSE_S)
                continue
            self._believe(proof, call)
            return answer

    def stream(self, method: str, request: Any, timeout_s: float) -> Iterator[Any]:
        """The answers, one after the other; closing the iterator ends the call."""
        proof, metadata = self._metadata()
        call = getattr(self._stub, method)(request, timeout=timeout_s, metadata=metadata)
        believed = False
        try:
            for answer in call:
                if not believed:
                    self._believe(proof, call)
                    believed = True
                yield answer
        except grpc.RpcError as error:
            if not believed:
                self._believe_error(proof, error)
            raise self._as_error(error) from None
        finally:
            call.cancel()

    def _metadata(self) -> tuple[Optional[str], list[tuple[str, str]]]:
        metadata = []
        proof = None
        if self.access.secret is not None:
            proof = self.access.secret.make_proof(_SERVICE, self.access.port)
            metadata.append((PROOF_KEY, proof))
        if self.access.token is not None:
            metadata.append(("authorization", f"Bearer {self.access.token}"))
        return proof, metadata

    def _believe(self, proof: Optional[str], call: Any) -> None:
        """DeniedError: whoever answered does not know the secret."""
        if proof is None or self.access.secret is None:
            return
        answers = [str(value) for key, value in call.initial_metadata() or () if key == ANSWER_KEY]
        port = self.access.port
        if answers and self.access.secret.check_answer(_SERVICE, port, proof, answers[0]):
            return
        raise errors.DeniedError(
            f"denied: whoever listens on {self.access.address} does not know the cluster's secret"
        )

    def _believe_error(self, proof: Optional[str], error: Any) -> None:
        if _code(error) not in _UNPROVED:
            self._believe(proof, error)

    def _as_error(self, error: Any) -> errors.Error:
        code = _code(error)
        kind = _BY_CODE.get(code, errors.FailedError)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return kind(f"controller {self.access.address}: no answer in time")
        if code is grpc.StatusCode.UNAVAILABLE and not _was_heard(error):
            return kind(f"controller {self.access.address}: cannot be reached")
        return kind(str(error.details()))


def _code(error: Any) -> Any:
    return error.code()


def _was_heard(error: Any) -> bool:
    """Whether a process refused the call, rather than that none was there."""
    return bool(error.trailing_metadata() or error.initial_metadata())


def _open(access: Access) -> grpc.Channel:
    if access.flags.tls_cert is None:
        return grpc.insecure_channel(_target(access), options=_OPTIONS)
    _check_peer(access)
    assert access.flags.tls_key is not None and access.flags.tls_ca is not None
    credentials = grpc.ssl_channel_credentials(
        root_certificates=read_bytes("tls_ca", access.flags.tls_ca),
        private_key=read_bytes("tls_key", access.flags.tls_key),
        certificate_chain=read_bytes("tls_cert", access.flags.tls_cert),
    )
    return grpc.secure_channel(_target(access), credentials, options=_OPTIONS)


def _target(access: Access) -> str:
    host = access.host
    if ":" in host:
        escaped = host.replace("%", "%25")
        return f"ipv6:%5B{escaped}%5D:{access.port}"
    numeric = host.replace(".", "").isdigit()
    return f"{'ipv4:' if numeric else 'dns:///'}{access.address}"


def _check_peer(access: Access) -> None:
    """gRPC for Python compares authority and host alone: the role, and who is revoked, are looked at
    here, by a handshake of our own, when a channel is opened. DeniedError: it is no controller's."""
    try:
        context = _tls_context(access)
        where = (access.host, access.port)
        with (
            socket.create_connection(where, timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=access.host) as peer,
        ):
            certificate: Any = peer.getpeercert() or {}
    except ssl.SSLError as error:
        raise errors.DeniedError(
            f"controller {access.address}: {getattr(error, 'verify_message', '') or error.reason}"
        ) from None
    except OSError:
        raise errors.UnreachableError(f"controller {access.address}: cannot be reached") from None
    names = certificate.get("subjectAltName", ())
    roles = [value for kind, value in names if kind == "URI"]
    if roles != [_CONTROLLER_ROLE]:
        raise errors.DeniedError(
            f"controller {access.address}: its certificate is not a controller's"
        )


def _tls_context(access: Access) -> ssl.SSLContext:
    flags = access.flags
    assert flags.tls_cert is not None and flags.tls_key is not None
    try:
        context = ssl.create_default_context(cafile=flags.tls_ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(flags.tls_cert, flags.tls_key)
        if flags.tls_crl is not None:
            context.load_verify_locations(flags.tls_crl)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except ssl.SSLError:
        raise errors.UsageError(
            "tls_cert, tls_key, tls_ca, tls_crl: one is no PEM file, or they do not belong together"
        ) from None
    except OSError as error:
        raise errors.UsageError(f"tls_cert, tls_key, tls_ca, tls_crl: {error.strerror}") from None
    return context
