"""Rules of who may reach whom, who is believed, where pods go, and what is watched; as in rules.py."""
import re

import cluster as c
import programs
from rules import role_of, rule, volumes_of

# Who opens connections to whom, and at which port: `names` is the cluster's DNS, `metrics` who scrapes.
EDGES = {
    ("memoryx", "controller", "grpc"), ("swarmx", "controller", "grpc"), ("wafer", "controller", "grpc"),
    ("submit", "controller", "grpc"),
    ("controller", "memoryx", "control"), ("controller", "swarmx", "control"),
    ("controller", "wafer", "control"),
    ("swarmx", "memoryx", "fabric"), ("memoryx", "memoryx", "fabric"),
    ("swarmx", "swarmx", "fabric"), ("wafer", "swarmx", "fabric"),
}


# -- network ---------------------------------------------------------------------------------------

def ends(k, peers):
    """Roles that the `from` or `to` of a policy names in this namespace."""
    for peer in peers:
        if "namespaceSelector" not in peer:
            found = k.selected(peer["podSelector"])
            yield from ([role_of(c.name_of(w)) for w in found] or [f"nobody ({peer['podSelector']})"])


def edges(k, direction):
    found = set()
    for policy in k.of("NetworkPolicy"):
        own = [role_of(c.name_of(w)) for w in k.selected(policy["spec"]["podSelector"])]
        for allow in policy["spec"].get(direction, []):
            peers = list(ends(k, allow.get("from", allow.get("to", []))))
            for port in allow["ports"]:
                for mine in own:
                    for theirs in peers:
                        pair = (theirs, mine) if direction == "ingress" else (mine, theirs)
                        found.add((*pair, port["port"]))
    return found


@rule(lambda k: k.objects.remove(k.get("NetworkPolicy", "nobody")))
def nobody_speaks_with_anybody_by_default(k):
    policy = k.get("NetworkPolicy", "nobody")
    if policy is None or policy["spec"] != {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
        yield "no policy that denies all"
    for policy in k.of("NetworkPolicy"):
        for direction in ("ingress", "egress"):
            if policy["spec"].get(direction) and direction.title() not in policy["spec"]["policyTypes"]:
                yield f"{c.label(policy)}: {direction} is not among its types"
            for allow in policy["spec"].get(direction, []):
                if not allow.get("from", allow.get("to")) or not allow.get("ports"):
                    yield f"{c.label(policy)}: allows anybody, or any port"


@rule(lambda k: k.get("NetworkPolicy", "wafer")["spec"]["egress"][1]["to"][0]["podSelector"]["matchLabels"].update(
    {"app.kubernetes.io/name": "waferstream-memoryx"}))
def the_edges_are_those_that_exist(k):
    wanted = {e for e in EDGES if e[0] != "submit" or k.of("Job")}
    outside = {e for e in EDGES if e[0] == "submit"}
    for direction in ("ingress", "egress"):
        found = {e for e in edges(k, direction) if not e[0].startswith("nobody")}
        for edge in sorted(found - wanted - outside):
            yield f"{direction}: {edge} is none"
        for edge in sorted(wanted - found):
            yield f"{direction}: {edge} is not let through"


@rule(lambda k: k.get("NetworkPolicy", "swarmx")["spec"]["ingress"][1]["ports"][0].update(port="fabrik"))
def policies_name_ports_of_pods(k):
    ports = {(role, p["name"]) for role in c.ROLES for p in k.container(role)["ports"]}
    for direction in ("ingress", "egress"):
        for source, target, port in edges(k, direction):
            if (target, port) not in ports:
                yield f"{direction}: {source} to {target}: {port}"


@rule(lambda k: k.get("NetworkPolicy", "all-to-names")["spec"].update(
    podSelector={"matchLabels": {"app.kubernetes.io/name": "waferstream-wafer"}}))
def everybody_can_look_up_names(k):
    for who, _, template in k.pods():
        if not any(selects_dns(p) and c.selects(p["spec"]["podSelector"], template["metadata"]["labels"])
                   for p in k.of("NetworkPolicy")):
            yield who


def selects_dns(policy):
    return any({"protocol": p, "port": 53} in allow["ports"] for allow in policy["spec"].get("egress", [])
               for p in ("UDP", "TCP"))


# -- trust -----------------------------------------------------------------------------------------

@rule(lambda k: k.get("ConfigMap", "waferstream-flags")["data"].pop("WAFERSTREAM_TLS_CA"))
def beyond_the_loopback_somebody_decides_who_is_let_in(k):
    for who, _, container in k.containers():
        flags = k.flags(container)
        tls = [f for f in ("tls-cert", "tls-key", "tls-ca") if f in flags]
        if len(tls) not in (0, 3) or (len(tls) == 3) == (flags.get("insecure") == "true"):
            yield f"{who}: {tls}, insecure={flags.get('insecure')}"
        if k.name != "dev" and not tls:
            yield f"{who}: in the clear"


@rule(lambda k: volumes_of(k.role("wafer"))["tls"]["secret"].update(secretName="waferstream-memoryx-tls"))
def everybody_has_the_certificate_of_its_role(k):
    made = {o["spec"]["secretName"]: o["spec"]["uris"] for o in k.of("Certificate")}
    for who, workload, container in k.containers():
        if "tls-cert" not in k.flags(container):
            continue
        role = role_of(c.name_of(workload)).replace("submit", "user")
        secret = volumes_of(workload).get("tls", {}).get("secret", {})
        if made.get(secret.get("secretName")) != [f"waferstream:{role}"]:
            yield f"{who}: {secret}"
        if secret.get("defaultMode") != 0o440:  # a key for everybody is refused
            yield f"{who}: mode"
        folders = {m["mountPath"] for m in container["volumeMounts"] if m["name"] == "tls" and m.get("readOnly")}
        for flag, file in (("tls-cert", "tls.crt"), ("tls-key", "tls.key"), ("tls-ca", "ca.crt")):
            if k.flags(container)[flag] not in {f"{folder}/{file}" for folder in folders}:
                yield f"{who}: --{flag}"


# -- placement, monitoring, queues -----------------------------------------------------------------

def terms_of(spec):
    affinity = spec.get("affinity", {}).get("podAntiAffinity", {})
    yield from affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    for weighted in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", []):
        yield weighted["podAffinityTerm"]
    yield from spec.get("topologySpreadConstraints", [])


@rule(lambda k: k.pod("memoryx").pop("affinity"))
def owners_of_a_tile_are_on_different_hosts(k):
    if k.name == "dev":
        return
    terms = k.pod("memoryx").get("affinity", {}).get("podAntiAffinity", {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution", [])
    if not any(t["topologyKey"] == "kubernetes.io/hostname" for t in terms):
        yield "memoryx"
    if k.role("memoryx")["spec"]["replicas"] < 2:
        yield "memoryx: one is no replica"


@rule(lambda k: k.pod("wafer")["topologySpreadConstraints"][0].update(
    labelSelector={"matchLabels": {"app.kubernetes.io/name": "wafer"}}))
def placement_is_about_ones_own_pods(k):
    for who, workload, template in k.pods():
        for term in terms_of(template["spec"]):
            if k.selected(term["labelSelector"]) != [workload]:
                yield who


def expressions(k):
    """(where, PromQL)"""
    for alerts in k.of("PrometheusRule"):
        for group in alerts["spec"]["groups"]:
            for alert in group["rules"]:
                yield alert["alert"], alert["expr"]
    for title, expr in k.dashboard_queries():
        yield f"dashboard: {title}", expr


@rule(lambda k: k.of("PrometheusRule")[0]["spec"]["groups"][0]["rules"][0].update(expr="absent(waferstream_job)"))
def metrics_exist(k):
    for where, expr in expressions(k):
        names = set(re.findall(r"\bwaferstream_\w+", expr))
        for name in sorted(names - programs.metrics()) or ([] if names else ["(none)"]):
            yield f"{where}: {name}"


@rule(lambda k: k.of("PodMonitor")[0]["spec"]["podMetricsEndpoints"][0].update(port="web"))
def everybody_is_scraped(k):
    for monitor in k.of("PodMonitor"):
        found = {role_of(c.name_of(w)) for w in k.selected(monitor["spec"]["selector"])}
        if found != set(c.ROLES):
            yield f"{c.label(monitor)}: {sorted(found)}"
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for role in c.ROLES:
                if endpoint["port"] not in {p["name"] for p in k.container(role)["ports"]}:
                    yield f"{role}: no port {endpoint['port']}"
            if (endpoint["scheme"] == "https") != ("tls-cert" in k.flags(k.container("controller"))):
                yield "scheme"
            port = k.flags(k.container("controller"))["metrics-port"]
            for relabeling in endpoint["relabelings"]:
                if not relabeling["replacement"].endswith(f".{c.NAMESPACE}.svc:{port}"):
                    yield f"scraped at {relabeling['replacement']}"


@rule(lambda k: k.role("wafer")["metadata"]["labels"].pop("kueue.x-k8s.io/queue-name"), on="kueue")
def nodes_wait_in_the_queue(k):
    queues = {role: k.role(role)["metadata"]["labels"].get("kueue.x-k8s.io/queue-name") for role in c.ROLES}
    if queues.pop("controller") is not None:
        yield "the controller waits"
    if len(set(queues.values())) != 1 or (k.name == "kueue") == (None in queues.values()):
        yield str(queues)
