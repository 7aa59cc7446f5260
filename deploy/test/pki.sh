#!/usr/bin/env bash
# Makes, in the current folder, an authority, and what each part of a Kubernetes shows to the others: certificates
# and kubeconfigs, for an API server at the given address.   pki.sh ADDRESS NODE=ADDRESS...
set -euo pipefail
address=$1
shift

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# cert NAME SUBJECT [NAMES AND ADDRESSES]
cert() {
  key "$1"
  printf '%s\n' keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth,clientAuth \
    ${3:+"subjectAltName=$3"} >"$1.extensions"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile "$1.extensions" \
      -out "$1.crt" 2>/dev/null
}

# kubeconfig NAME SUBJECT: somebody who calls the API server.
kubeconfig() {
  [ -e "$1.crt" ] || cert "$1" "$2"
  cat >"$1.conf" <<END
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$address:6443", certificate-authority: $PWD/ca.crt}}]
users: [{name: $1, user: {client-certificate: $PWD/$1.crt, client-key: $PWD/$1.key}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
current-context: test
END
}

key ca
openssl req -x509 -new -key ca.key -subj /CN=test -days 2 -out ca.crt
cert apiserver /CN=kube-apiserver "DNS:kubernetes.default.svc,IP:$address,IP:127.0.0.1"
openssl genrsa -out accounts.key 2048 2>/dev/null
openssl rsa -in accounts.key -pubout -out accounts.pub 2>/dev/null
kubeconfig admin /O=system:masters/CN=admin
kubeconfig manager /CN=system:kube-controller-manager
kubeconfig scheduler /CN=system:kube-scheduler
kubeconfig proxy /CN=system:kube-proxy
for node in "$@"; do
  name=${node%=*}
  cert "$name" "/O=system:nodes/CN=system:node:$name" "DNS:$name,IP:${node#*=}"
  kubeconfig "$name" ""
done
