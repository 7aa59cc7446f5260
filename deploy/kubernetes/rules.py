"""What must hold for manifests. A rule is a generator of complaints; beside it stands a change that breaks it,
because a rule that never complains is none."""
import re

import yaml

import cluster as c
import programs

RULES = []
CUSTOM = {"Issuer", "Certificate", "PodMonitor", "PrometheusRule"}  # of cert-manager, and Prometheus' operator
KINDS = {"Namespace", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount", "Service", "StatefulSet", "Job",
         "PodDisruptionBudget", "NetworkPolicy"}


def rule(breaks, on="production"):
    """`breaks` changes a cluster; the rule must then find something. `on`: which one is changed."""
    def add(function):
        RULES.append((function, breaks, on))
        return function
    return add


def quantity(text):
    """Of memory, in MiB."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def role_of(name):
    return name.removeprefix("waferstream-")


# -- objects ---------------------------------------------------------------------------------------

@rule(lambda k: k.objects.append({"kind": "Gadget", "metadata": {"name": "x", "namespace": "waferstream"}}))
def only_known_kinds(k):
    for o in k.objects:
        if o["kind"] not in CUSTOM | KINDS:
            yield f"{c.label(o)}: a kind that no rule knows"


@rule(lambda k: k.objects.append(k.get("Service", "waferstream-wafer")))
def an_object_is_there_once(k):
    seen = set()
    for o in k.objects:
        if c.label(o) in seen:
            yield f"{c.label(o)}: twice"
        seen.add(c.label(o))


@rule(lambda k: k.get("Service", "waferstream-wafer")["metadata"].update(namespace="default"))
def all_is_in_one_namespace(k):
    for o in k.objects:
        if o["kind"] not in c.CLUSTERED and o["metadata"].get("namespace") != c.NAMESPACE:
            yield f"{c.label(o)}: not in {c.NAMESPACE}"


@rule(lambda k: k.get("Namespace", "waferstream")["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce"))
def the_namespace_enforces_the_restricted_standard(k):
    labels = k.get("Namespace", c.NAMESPACE)["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        if labels.get(f"pod-security.kubernetes.io/{mode}") != "restricted":
            yield f"{mode} is not restricted"


@rule(lambda k: k.role("wafer")["metadata"]["labels"].clear())
def everything_says_what_it_is_part_of(k):
    for o in k.objects:
        if o["kind"] not in CUSTOM and o["metadata"].get("labels", {}).get(
                "app.kubernetes.io/part-of") != "waferstream":
            yield c.label(o)


@rule(lambda k: k.objects.append({"kind": "Secret", "metadata": {"name": "s", "namespace": "waferstream"}}))
def no_secret_is_in_a_manifest_or_variable(k):
    for o in k.of("Secret"):
        yield f"{c.label(o)}: made by others, never written down here"
    for who, _, container in k.containers():
        for entry in container.get("env", []) + container.get("envFrom", []):
            if "secretRef" in entry or "secretKeyRef" in entry.get("valueFrom", {}):
                yield f"{who}: a secret in the environment"


# -- the restricted standard, and more -------------------------------------------------------------

@rule(lambda k: k.pod("wafer")["securityContext"].update(runAsUser=0))
def nobody_is_root(k):
    for who, _, template in k.pods():
        context = template["spec"].get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser", 0) > 0:
            yield who
    for who, _, container in k.containers():
        if {"runAsUser", "runAsNonRoot"} & set(container.get("securityContext", {})):
            yield f"{who}: says otherwise than its pod"


@rule(lambda k: k.container("memoryx")["securityContext"].pop("allowPrivilegeEscalation"))
def privileges_do_not_grow(k):
    for who, _, container in k.containers():
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield who


@rule(lambda k: k.container("memoryx")["securityContext"]["capabilities"].update(add=["NET_ADMIN"]))
def all_capabilities_are_dropped(k):
    for who, _, container in k.containers():
        if container.get("securityContext", {}).get("capabilities") != {"drop": ["ALL"]}:
            yield who


@rule(lambda k: k.pod("swarmx")["securityContext"].update(seccompProfile={"type": "Unconfined"}))
def system_calls_are_filtered(k):
    for who, _, template in k.pods():
        if template["spec"].get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield who


@rule(lambda k: k.container("controller")["securityContext"].update(readOnlyRootFilesystem=False))
def the_root_is_read_only(k):
    for who, _, container in k.containers():
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield who


@rule(lambda k: k.pod("wafer").update(hostNetwork=True))
def nothing_of_the_host_is_used(k):
    for who, _, template in k.pods():
        spec = template["spec"]
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{who}: {key}"
        for volume in spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{who}: hostPath"
    for who, _, container in k.containers():
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{who}: hostPort"


@rule(lambda k: k.pod("wafer").update(serviceAccountName="default"))
def every_workload_has_an_account_of_its_own(k):
    used = {}
    for who, _, template in k.pods():
        account = template["spec"].get("serviceAccountName", "default")
        if k.get("ServiceAccount", account) is None:
            yield f"{who}: {account} is not made here"
        if used.setdefault(account, who) != who:
            yield f"{who}: {account} is also that of {used[account]}"


@rule(lambda k: k.pod("wafer").pop("automountServiceAccountToken"))
def nobody_has_a_token(k):
    for account in k.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield c.label(account)
    for who, _, template in k.pods():
        if template["spec"].get("automountServiceAccountToken") is not False:
            yield who


@rule(lambda k: k.container("wafer").update(image="waferstream:latest"))
def images_are_pinned(k):
    images = set()
    for who, _, container in k.containers():
        images.add(container["image"])
        if not re.fullmatch(r"[^:@]+(:\d+)?[^:@]*(:\d[\w.-]*|@sha256:[0-9a-f]{64})", container["image"]):
            yield f"{who}: {container['image']}"
        if container.get("imagePullPolicy") != "IfNotPresent":
            yield f"{who}: imagePullPolicy"
    if len(images) > 1:
        yield f"several: {sorted(images)}"


# A limit of CPU would stop a process in the midst of a step, and with it all others.
@rule(lambda k: k.container("wafer")["resources"].pop("limits"))
def memory_is_limited_to_what_is_requested(k):
    for who, _, container in k.containers():
        requests = container.get("resources", {}).get("requests", {})
        limits = container.get("resources", {}).get("limits", {})
        if "cpu" not in requests or "memory" not in requests:
            yield f"{who}: requests"
        elif "cpu" in limits:
            yield f"{who}: a limit of CPU"
        elif "memory" not in limits or quantity(limits["memory"]) < quantity(requests["memory"]):
            yield f"{who}: limit of memory"


# -- what the programs know ------------------------------------------------------------------------

def command_of(container):
    """Program and, for waferctl, its command."""
    program = container.get("command", [""])[0]
    return program, container["args"][0] if program == "waferctl" else ""


@rule(lambda k: k.container("wafer").update(command=["wafer"]))
def every_program_is_ours(k):
    for who, _, container in k.containers():
        if container.get("command") not in [[name] for name in programs.BINARIES]:
            yield f"{who}: {container.get('command')}"


@rule(lambda k: k.container("wafer")["args"].append("--sram=1GiB"))
def every_flag_is_one_of_its_program(k):
    for who, _, container in k.containers():
        program, command = command_of(container)
        if program not in programs.BINARIES:
            continue
        for argument in container["args"]:
            name = argument.partition("=")[0][2:]
            if argument.startswith("-") and name not in programs.flags_of(program, command):
                yield f"{who}: {argument}"


@rule(lambda k: k.get("ConfigMap", "waferstream-flags")["data"].update(WAFERSTREAM_LEASE="1000"))
def every_variable_is_a_flag(k):
    known = {"WAFERSTREAM_" + f.upper().replace("-", "_") for f in programs.all_flags()}
    for who, _, container in k.containers():
        for name, value in k.variables(container).items():
            if name.startswith("WAFERSTREAM_") and (name not in known or not value):
                yield f"{who}: {name}={value}"


# The strongest of these: the programs themselves are started with what a pod gives them, and come as far as
# their certificates, which are not here.
@rule(lambda k: k.get("ConfigMap", "waferstream-flags")["data"].update(WAFERSTREAM_FABRIC_PORT="70020"))
def every_program_takes_what_it_is_given(k):
    for who, _, container in k.containers():
        if container.get("command", [""])[0] not in programs.BINARIES:
            continue
        variables = {n: v or "x-0" for n, v in k.variables(container).items()}
        arguments = [re.sub(r"\$\((\w+)\)", lambda m: variables[m[1]], a) for a in container["args"]]
        if said := programs.complaint(container["command"][0], arguments, variables):
            yield f"{who}: {said}"


@rule(lambda k: k.pod("wafer").pop("enableServiceLinks"))
def no_variables_of_services(k):
    for who, _, template in k.pods():
        if template["spec"].get("enableServiceLinks") is not False:
            yield who


# -- identities and names --------------------------------------------------------------------------

@rule(lambda k: k.container("memoryx")["args"].__setitem__(0, "--id=memoryx"))
def a_node_is_its_pod(k):
    for role in c.NODES:
        flags = k.flags(k.container(role))
        name = f"waferstream-{role}"
        if flags.get("id") != "$(POD_NAME)":
            yield f"{role}: --id={flags.get('id')}"
        if flags.get("host") != f"$(POD_NAME).{name}.{c.NAMESPACE}.svc":
            yield f"{role}: --host={flags.get('host')}"
        if {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} not in (
                k.container(role)["env"]):
            yield f"{role}: POD_NAME is not the pod's name"


@rule(lambda k: k.get("ConfigMap", "waferstream-flags")["data"].update(
    WAFERSTREAM_CONTROLLER="controller.waferstream.svc:7000"))
def the_controller_is_found_by_its_service(k):
    service = k.get("Service", "waferstream-controller")
    port = next(p["port"] for p in service["spec"]["ports"] if p["name"] == "grpc")
    address = f"{c.name_of(service)}.{c.NAMESPACE}.svc:{port}"
    for who, workload, container in k.containers():
        flags = k.flags(container)
        if c.name_of(workload) != "waferstream-controller" and flags.get("controller") != address:
            yield f"{who}: --controller={flags.get('controller')}"
    if k.flags(k.container("controller")).get("host") != address.partition(":")[0]:
        yield "the controller's --host is another one"


@rule(lambda k: k.role("wafer")["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/name": "w"}))
def workloads_select_their_own_pods(k):
    for who, workload, _ in k.pods():
        if workload["kind"] == "StatefulSet":
            found = k.selected(workload["spec"]["selector"])
            if found != [workload]:
                yield f"{who}: {[c.label(w) for w in found]}"


@rule(lambda k: k.get("Service", "waferstream-swarmx")["spec"]["ports"][0].update(targetPort="grpc"))
def services_point_somewhere(k):
    for service in k.of("Service"):
        found = k.selected(service["spec"]["selector"])
        if len(found) != 1:
            yield f"{c.label(service)}: {len(found)} workloads"
            continue
        ports = {p["name"]: p["containerPort"] for x in found[0]["spec"]["template"]["spec"]["containers"]
                 for p in x["ports"]}
        for port in service["spec"]["ports"]:
            if ports.get(port["targetPort"]) != port["port"]:
                yield f"{c.label(service)}: port {port['name']} is another one in the pod"


@rule(lambda k: k.get("Service", "waferstream-memoryx")["spec"].pop("publishNotReadyAddresses"))
def a_set_has_its_service(k):
    for who, workload, _ in k.pods():
        if workload["kind"] != "StatefulSet":
            continue
        service = k.get("Service", workload["spec"]["serviceName"])
        if service is None or k.selected(service["spec"]["selector"]) != [workload]:
            yield f"{who}: serviceName"
        elif workload is not k.role("controller") and (
                service["spec"].get("clusterIP") != "None"
                or service["spec"].get("publishNotReadyAddresses") is not True):
            yield f"{who}: its pods have no names before they are ready"


@rule(lambda k: k.container("wafer")["ports"][0].update(containerPort=7005))
def ports_are_those_of_the_flags(k):
    for role in c.ROLES:
        flags = k.flags(k.container(role))
        ports = {p["name"]: str(p["containerPort"]) for p in k.container(role)["ports"]}
        names = {"grpc": "port"} if role == "controller" else {"control": "control-port", "fabric": "fabric-port"}
        names.update(health="health-port", metrics="metrics-port")
        if ports != {name: flags.get(flag) for name, flag in names.items()}:
            yield f"{role}: {ports}"
        if flags.get("listen") != "0.0.0.0":
            yield f"{role}: listens where nobody reaches it"


# -- life ------------------------------------------------------------------------------------------

@rule(lambda k: k.container("wafer")["livenessProbe"]["grpc"].update(service="ready"))
def probes_ask_the_health_port(k):
    wanted = {"startupProbe": "live", "livenessProbe": "live", "readinessProbe": "ready"}
    for role in c.ROLES:
        container = k.container(role)
        port = int(k.flags(container)["health-port"])
        for probe, service in wanted.items():
            if container.get(probe, {}).get("grpc") != {"port": port, "service": service}:
                yield f"{role}: {probe}"


# A process whose loop is silent for 10 s says so itself (rpc/health_server.h).
@rule(lambda k: k.container("wafer")["livenessProbe"].update(periodSeconds=1))
def nobody_is_ended_for_a_moment(k):
    for role in c.ROLES:
        probe = k.container(role)["livenessProbe"]
        if probe["periodSeconds"] * probe["failureThreshold"] < 20:
            yield role


# Else the kubelet waits for the pod's own grace, in which a process that hangs does nothing.
@rule(lambda k: k.container("memoryx")["livenessProbe"].pop("terminationGracePeriodSeconds"))
def who_hangs_is_not_waited_for(k):
    for role in c.ROLES:
        if k.container(role)["livenessProbe"].get("terminationGracePeriodSeconds", 1000) > 10:
            yield role


@rule(lambda k: k.container("controller").pop("terminationMessagePolicy"))
def who_cannot_start_says_why_in_its_pods_status(k):
    for who, _, container in k.containers():
        if container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            yield who


@rule(lambda k: k.container("memoryx")["startupProbe"].update(failureThreshold=30))
def a_start_may_take_as_long_as_the_largest_shard(k):
    probe = k.container("memoryx")["startupProbe"]
    if probe["periodSeconds"] * probe["failureThreshold"] < 600:  # the controller's deadline of Prepare
        yield "memoryx"


@rule(lambda k: k.pod("memoryx").update(terminationGracePeriodSeconds=303))
def an_end_may_take_its_grace(k):
    for role in c.NODES:
        grace = int(k.flags(k.container(role))["grace"])
        if k.pod(role)["terminationGracePeriodSeconds"] <= grace + 5:  # to clean up
            yield role


@rule(lambda k: k.role("memoryx")["spec"].update(podManagementPolicy="OrderedReady"))
def nodes_start_together(k):
    for role in c.NODES:
        if k.role(role)["spec"].get("podManagementPolicy") != "Parallel":
            yield role


@rule(lambda k: k.role("controller")["spec"].update(replicas=2))
def there_is_one_controller(k):
    if k.role("controller")["spec"].get("replicas") != 1:
        yield "replicas"


@rule(lambda k: k.get("PodDisruptionBudget", "waferstream-memoryx")["spec"].update(maxUnavailable=2))
def budgets_let_one_go(k):
    for budget in k.of("PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") != 1:
            yield c.label(budget)
    guarded = [c.name_of(w) for b in k.of("PodDisruptionBudget") for w in k.selected(b["spec"]["selector"])]
    if sorted(guarded) != sorted(f"waferstream-{role}" for role in c.NODES):
        yield f"guarded are {guarded}"


@rule(lambda k: k.get("Job", "waferstream-submit")["spec"]["template"]["spec"]["containers"][0]["args"].remove(
    "--request-id=$(REQUEST_ID)"))
def a_job_submits_once(k):
    for job in k.of("Job"):
        spec = job["spec"]["template"]["spec"]
        fields = [e.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
                  for e in spec["containers"][0].get("env", []) if e["name"] == "REQUEST_ID"]
        if not {"submit", "--wait", "--request-id=$(REQUEST_ID)"} <= set(spec["containers"][0]["args"]):
            yield f"{c.label(job)}: arguments"
        if len(fields) != 1 or "controller-uid" not in fields[0]:
            yield f"{c.label(job)}: the request is not the Job's"
        if spec.get("restartPolicy") != "Never" or "podFailurePolicy" not in job["spec"]:
            yield f"{c.label(job)}: what fails for good is tried again"


# -- volumes ---------------------------------------------------------------------------------------

def volumes_of(workload):
    named = {v["name"]: v for v in workload["spec"]["template"]["spec"].get("volumes", [])}
    named.update({c.name_of(v): v for v in workload["spec"].get("volumeClaimTemplates", [])})
    return named


@rule(lambda k: volumes_of(k.role("memoryx"))["shared"]["persistentVolumeClaim"].update(claimName="other"))
def volumes_are_there(k):
    secrets = {o["spec"]["secretName"] for o in k.of("Certificate")}
    for who, workload, container in k.containers():
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes_of(workload):
                yield f"{who}: {mount['name']}"
    for who, workload, _ in k.pods():
        mounted = {m["name"] for x in workload["spec"]["template"]["spec"]["containers"]
                   for m in x.get("volumeMounts", [])}
        for name, volume in volumes_of(workload).items():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            file = volume.get("configMap", {}).get("name")
            if claim and k.get("PersistentVolumeClaim", claim) is None:
                yield f"{who}: claim {claim}"
            if file and k.get("ConfigMap", file) is None:
                yield f"{who}: ConfigMap {file}"
            if "secret" in volume and volume["secret"]["secretName"] not in secrets:
                yield f"{who}: nobody makes {volume['secret']['secretName']}"
            if name not in mounted:
                yield f"{who}: {name} is not mounted"
    for who, _, container in k.containers():
        for source in container.get("envFrom", []):
            if k.get("ConfigMap", source["configMapRef"]["name"]) is None:
                yield f"{who}: envFrom"


@rule(lambda k: k.container("memoryx")["volumeMounts"].clear())
def files_of_jobs_are_on_the_shared_volume(k):
    writers = {"controller": True, "memoryx": True, "wafer": False}
    for role, writes in writers.items():
        mount = next((m for m in k.container(role).get("volumeMounts", []) if m["name"] == "shared"), None)
        if mount is None or mount["mountPath"] != k.flags(k.container(role)).get("roots"):
            yield f"{role}: --roots is not the shared volume"
        elif writes == mount.get("readOnly", False):
            yield f"{role}: {'cannot write' if writes else 'need not write'}"
    if "roots" in k.flags(k.container("swarmx")):
        yield "swarmx: has no files"


@rule(lambda k: k.role("controller")["spec"].pop("volumeClaimTemplates"))
def the_controllers_store_outlives_it(k):
    state = k.flags(k.container("controller"))["state"]
    claims = [c.name_of(t) for t in k.role("controller")["spec"].get("volumeClaimTemplates", [])]
    if not any(m["name"] in claims and m["mountPath"] == state
               for m in k.container("controller")["volumeMounts"]):
        yield state


@rule(lambda k: volumes_of(k.role("wafer"))["shm"]["emptyDir"].pop("sizeLimit"))
def a_wafers_shared_memory_is_bounded(k):
    mounts = {m["mountPath"]: m["name"] for m in k.container("wafer")["volumeMounts"]}
    volume = volumes_of(k.role("wafer")).get(mounts.get("/dev/shm"), {}).get("emptyDir", {})
    if volume.get("medium") != "Memory" or "sizeLimit" not in volume:
        yield "wafer"


# What a job takes, by its plan, and what the pods are for.
@rule(lambda k: k.container("wafer")["resources"]["requests"].update(memory="4Gi"))
def requests_are_those_of_the_plan(k):
    for planned in yaml.safe_load_all(programs.plan(k.job_file)):
        role = role_of(c.name_of(planned))
        if k.role(role)["spec"]["replicas"] != planned["spec"]["replicas"]:
            yield f"{role}: the job wants {planned['spec']['replicas']}"
        wanted = planned["spec"]["template"]["spec"]["containers"][0]["resources"]
        for bound in ("requests", "limits"):
            if k.container(role)["resources"][bound]["memory"] != wanted[bound]["memory"]:
                yield f"{role}: the job takes {wanted[bound]['memory']}"
