"""How a call proves that it knows the cluster's secret, and how its answer proves it back.

The wire's side of rpc/proof.h; docs/adr/0016-a-secret-of-the-cluster.md says why.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

PROOF_KEY = "waferstream-proof"
ANSWER_KEY = "waferstream-answer"
_HEX_DIGITS = 64


@dataclass(frozen=True)
class Secret:
    """The secret itself is never printed nor sent."""

    key: bytes

    def __repr__(self) -> str:
        return "Secret(...)"

    @staticmethod
    def parse(text: str) -> Secret | None:
        """Of a secret file's text; None: it holds none."""
        if text.endswith("\n"):
            text = text[:-1]
        if len(text) != _HEX_DIGITS:
            return None
        try:
            return Secret(bytes.fromhex(text))
        except ValueError:
            return None

    def _prove(self, *parts: str) -> str:
        message = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self.key, message.encode("ascii"), hashlib.sha256).hexdigest()

    def make_proof(self, service: str, port: int) -> str:
        """For one call of `service` at `port`, now."""
        ms = str(-(-time.time_ns() // 1_000_000))  # rounded up, as the callee asks
        nonce = secrets.token_hex(16)
        return f"{ms}-{nonce}-{self._prove('call', service, str(port), ms, nonce)}"

    def check_answer(self, service: str, port: int, proof: str, answer: str) -> bool:
        """Whether who answered the call with `proof` knows the secret, too."""
        return hmac.compare_digest(answer, self._prove("answer", service, str(port), proof))
