#!/usr/bin/env bash
# The first process of a node's namespaces: containerd, kubelet and kube-proxy, as on any host.
set -euo pipefail
name=$1
number=${name#node}
address=10.250.0.1$number
pki=$CLUSTER/pki
log=$CLUSTER/log/$name
# Its disk: gone with it, but for $CLUSTER/volumes, which is a file server.
disk=$CLUSTER/$name/disk
mkdir -p "$disk"
mount -t tmpfs -o size=50% tmpfs "$disk"
cd "$disk"
mkdir -p cni log lib
mount --bind log /var/log
mount --bind lib /var/lib
mount -t tmpfs tmpfs /run

hostname "$name"
until ip link set eth0 up 2>/dev/null; do sleep 0.05; done
ip link set lo up
ip address add "$address/24" dev eth0
ip route add default via "$CONTROL"
ip route add blackhole "10.244.$number.0/24" # but for its pods: whoever calls one that is gone hears nothing
sysctl -qw net.ipv4.ip_forward=1
# The kubelet sets these for the whole machine, unless they are what it wants: so it sees them.
for setting in panic=10 panic_on_oops=1; do
  echo "${setting#*=}" >"${setting%=*}"
  mount --bind "${setting%=*}" "/proc/sys/kernel/${setting%=*}"
done

cat >cni/pods.conflist <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false,
 "ipam": {"type": "host-local", "dataDir": "$disk/ipam", "ranges": [[{"subnet": "10.244.$number.0/24"}]],
          "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
# May run where the limits on killing for want of memory cannot be loosened (restrict_oom_score_adj).
cat >containerd.toml <<END
version = 2
root = "$disk/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$BINARIES/debian/usr/lib/cni"
    conf_dir = "$disk/cni"
END
socket=/run/containerd/containerd.sock
containerd --config containerd.toml >"$log-containerd.log" 2>&1 &
until ctr --address "$socket" version >/dev/null 2>&1; do sleep 0.1; done
for image in "$CLUSTER/pause.tar" "$IMAGE"; do
  ctr --address "$socket" --namespace k8s.io images import "$image"
done

: >resolv.conf
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$socket
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$name
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/$name.crt
tlsPrivateKeyFile: $pki/$name.key
address: $address
resolvConf: $disk/resolv.conf
clusterDNS: [$CONTROL]
clusterDomain: cluster.local
volumePluginDir: $disk/flex
nodeLeaseDurationSeconds: 8
makeIPTablesUtilChains: false
failSwapOn: false
failCgroupV1: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
END
until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
kubelet --config=kubelet.yaml --kubeconfig="$pki/$name.conf" --root-dir=$disk/kubelet --hostname-override="$name" \
  --cert-dir=$disk/pki --node-ip="$address" >"$log-kubelet.log" 2>&1 &
# What it would set for connection tracking is the whole machine's.
kube-proxy --kubeconfig="$pki/proxy.conf" --proxy-mode=nftables --cluster-cidr=10.244.0.0/16 \
  --hostname-override="$name" --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
  --conntrack-tcp-timeout-close-wait=0 >"$log-proxy.log" 2>&1 &
wait
