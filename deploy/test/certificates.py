"""The secrets that cert-manager would make, made by `waferctl certs`."""
import kubernetes as k

FOLDER = k.WORKSTATION / "certificates"
FLAGS = ["--tls-cert", "/certificates/user.crt", "--tls-key", "/certificates/user.key",
         "--tls-ca", "/certificates/ca.crt"]
HOSTS = {
    "controller": ["waferstream-controller.waferstream.svc", "localhost"],
    "memoryx": ["*.waferstream-memoryx.waferstream.svc"],
    "swarmx": ["*.waferstream-swarmx.waferstream.svc"],
    "wafer": ["*.waferstream-wafer.waferstream.svc"],
    "user": [],
}


def secret(name, certificate, key):
    """As cert-manager writes it, of files in FOLDER."""
    k.kubectl("create", "secret", "generic", name, f"--from-file=tls.crt={FOLDER / certificate}",
              f"--from-file=tls.key={FOLDER / key}", f"--from-file=ca.crt={FOLDER / 'ca.crt'}")


def make():
    k.workstation("waferctl", "certs", "init", "--dir", "/certificates")
    for role, hosts in HOSTS.items():
        k.workstation("waferctl", "certs", "issue", "--dir", "/certificates", "--role", role, "--name", role,
                      *(a for host in hosts for a in ("--host", host)))
        secret(f"waferstream-{role}-tls", f"{role}.crt", f"{role}.key")
