#!/usr/bin/env bash
# Proves the sidecar on a cluster: applies the overlay in a namespace of its own under the restricted standard, waits until it is
# ready, reads a slice from the worker's container, kills tensord with -9 under readers, drains it with SIGTERM, deletes
# everything, and prints PASS.
#
# usage: deploy/kubernetes/smoke.sh IMAGE WORKER_IMAGE
#   Both as the cluster pulls them (docker build . and docker build --target worker .); kubectl's current context is used.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '/^# usage/,/^#   Both/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")"
image=$1 worker_image=$2
namespace=tensord-smoke-$$
timeout=120s

work=$(mktemp -d)
finish() {
  local code=$?
  [ $code -eq 0 ] || kubectl -n "$namespace" describe pods >&2 || true
  kubectl delete namespace "$namespace" --ignore-not-found --wait=true --timeout="$timeout" >/dev/null || code=1
  rm -rf "$work"
  [ $code -ne 0 ] || echo PASS
  exit $code
}
trap finish EXIT

step() { printf '== %s\n' "$*"; }
fail() { echo "FAIL: $*" >&2; exit 1; }
kube() { kubectl -n "$namespace" "$@"; }
in_worker() { kube exec deploy/worker -c worker -- bash -o pipefail -euc "$1"; }
tensord_field() { kube get pods -l app.kubernetes.io/name=worker -o "jsonpath={.items[0].status.initContainerStatuses[0].$1}"; }

# The slice that is read, by its sum; element i of the sample's tensors is i % 1021.
read_slice="tensorctl get tiny-gpt2 'wte.weight[2:4]' -o - | sha256sum"
expected="$(python3 -c 'import hashlib, struct; print(hashlib.sha256(struct.pack("<128f", *range(128, 256))).hexdigest())')  -"

step "apply"
python3 ../make_sample_store.py "$work/store"
cp -r base components overlays "$work/"
mkdir "$work/overlays/smoke"
cat >"$work/overlays/smoke/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../sidecar]
images:
  - { name: tensord, newName: "${image%:*}", newTag: "${image##*:}" }
  - { name: tensord-worker, newName: "${worker_image%:*}", newTag: "${worker_image##*:}" }
patches:
  - target: { kind: Deployment, name: worker }
    patch: |
      - { op: add, path: /spec/template/spec/shareProcessNamespace, value: true } # So that the worker can kill tensord.
      - op: replace
        path: /spec/template/spec/volumes/1
        value:
          name: models
          configMap: { name: models, items: [{ key: model.safetensors, path: tiny-gpt2/model.safetensors }] }
YAML
kubectl create namespace "$namespace" >/dev/null
kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
kube create configmap models --from-file="$work/store/tiny-gpt2/model.safetensors" >/dev/null
kube apply -k "$work/overlays/smoke" >/dev/null

step "wait"
kube rollout status deployment/worker --timeout="$timeout"

step "read a slice from the worker's container"
[ "$(in_worker "$read_slice")" = "$expected" ] || fail "the slice is wrong"

step "kill -9 under readers, who go on"
restarts=$(tensord_field restartCount)
answers=$(in_worker "
  { sleep 0.5; kill -9 \$(pidof tensord); } &
  for _ in {1..200}; do
    until answer=\$($read_slice 2>/dev/null); do sleep 0.2; done
    echo \"\$answer\"
  done | sort -u
  wait")
[ "$answers" = "$expected" ] || fail "readers got: $answers"
[ "$(tensord_field restartCount)" -gt "$restarts" ] || fail "tensord was not restarted"

step "drain"
in_worker "kill -TERM \$(pidof tensord)"
for _ in $(seq 60); do
  code=$(tensord_field lastState.terminated.exitCode)
  [ "$code" != 0 ] || break
  sleep 1
done
[ "$code" = 0 ] || fail "SIGTERM ended tensord with ${code:-nothing}"
kube wait pod -l app.kubernetes.io/name=worker --for=condition=Ready --timeout="$timeout" >/dev/null
[ "$(in_worker "$read_slice")" = "$expected" ] || fail "the slice is wrong after the drain"

step "delete"
