#!/usr/bin/env bash
# The first process of up.sh's namespaces: the control plane, then nodes, then the command.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$PWD
debian=$BINARIES/debian/usr
export PATH=$BINARIES:$debian/sbin:$debian/bin:$PATH
export LD_LIBRARY_PATH=$(echo "$debian"/lib/*-linux-gnu)
# All that they keep is here: logs of pods, network namespaces and plugins' results have no other places.
mount -t tmpfs tmpfs /run
mount -t tmpfs -o size=75% tmpfs /var
export CLUSTER=/var/cluster
mkdir -p /run/lock /var/{log,lib,tmp} "$CLUSTER"/{pki,log,pause,volumes}
ln -s /run /var/run
export HOME=$CLUSTER TMPDIR=/var/tmp
cd "$CLUSTER"

# A switch with a node on each port; this side of it is the control plane's.
hostname control
export CONTROL=10.250.0.1
sysctl -qw net.ipv4.ip_forward=1
ip link set lo up
ip link add switch type bridge
ip address add $CONTROL/24 dev switch
ip link set switch up

nodes=(node1 node2)
(cd pki && "$here/pki.sh" $CONTROL "${nodes[0]}=10.250.0.11" "${nodes[1]}=10.250.0.12")
pki=$CLUSTER/pki
export KUBECONFIG=$pki/admin.conf
cp "$BINARIES/pause" pause/
"$here/../container/archive.sh" pause pause:1 '{"Entrypoint":["/pause"]}' pause.tar

# until_ok SECONDS COMMAND...: waits for it to succeed.
until_ok() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >"$CLUSTER/log/waiting.log" 2>&1; do
    [ $SECONDS -lt $end ] || { echo "inside.sh: $*: $(tail -n 1 "$CLUSTER/log/waiting.log")" >&2; exit 1; }
    sleep 0.2
  done
}

etcd --data-dir=etcd --unsafe-no-fsync >log/etcd.log 2>&1 &
kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=$CONTROL --advertise-address=$CONTROL \
  --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key --client-ca-file=$pki/ca.crt \
  --kubelet-client-certificate=$pki/admin.crt --kubelet-client-key=$pki/admin.key \
  --kubelet-certificate-authority=$pki/ca.crt --kubelet-preferred-address-types=InternalIP \
  --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=$pki/accounts.pub \
  --service-account-signing-key-file=$pki/accounts.key --service-cluster-ip-range=10.96.0.0/16 \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction >log/apiserver.log 2>&1 &
for node in "${nodes[@]}"; do "$here/start_node.sh" "$node"; done
# The controller manager ends at once while its rights are not there yet.
until_ok 300 kubectl get --raw /readyz
# A node that is lost is noticed after 10 s, not 50.
kube-controller-manager --kubeconfig=$pki/manager.conf --authentication-kubeconfig=$pki/manager.conf \
  --authorization-kubeconfig=$pki/manager.conf --root-ca-file=$pki/ca.crt \
  --service-account-private-key-file=$pki/accounts.key --use-service-account-credentials=true \
  --flex-volume-plugin-dir=$CLUSTER/flex --leader-elect=false --node-monitor-period=2s \
  --node-monitor-grace-period=10s >log/manager.log 2>&1 &
kube-scheduler --kubeconfig=$pki/scheduler.conf --authentication-kubeconfig=$pki/scheduler.conf \
  --authorization-kubeconfig=$pki/scheduler.conf --leader-elect=false >log/scheduler.log 2>&1 &
cat >Corefile <<END
.:53 {
  bind $CONTROL
  errors
  kubernetes cluster.local {
    kubeconfig $pki/admin.conf
    ttl 5
  }
}
END
coredns -conf Corefile >log/coredns.log 2>&1 &
for node in "${nodes[@]}"; do
  until_ok 300 kubectl get node "$node"
  until_ok 300 kubectl wait --for=condition=ready --timeout=1s "node/$node"
done
echo "Kubernetes $(kubectl get node "${nodes[0]}" -o 'jsonpath={.status.nodeInfo.kubeletVersion}') with" \
  "${#nodes[@]} nodes after $SECONDS s" >&2
cd "$folder"
status=0
"$@" || status=$?
exit $status
