#!/usr/bin/env bash
# Builds tensord on Debian 12 and serves a store: installs the packages, builds, lists, fetches a slice, checks it, and
# goes on serving.
#
# usage: deploy/quickstart.sh [STORE] [--once]
#   STORE    a directory with safetensors files; default: a small sample that is made in build/sample-store
#   --once   end after the check instead of serving on
# TENSORD_LISTEN sets the address (default 127.0.0.1:50051).
set -euo pipefail

usage() { sed -n '/^# usage/,/^# TENSORD/s/^# \{0,1\}//p' "$0"; }
store='' once=false
for argument in "$@"; do
  case "$argument" in
    --once) once=true ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "error: unknown option $argument" >&2; usage >&2; exit 2 ;;
    *)
      [ -z "$store" ] || { echo "error: more than one STORE: $store and $argument" >&2; exit 2; }
      store=$(realpath -- "$argument" 2>/dev/null) || store=$argument
      ;;
  esac
done
[ -z "$store" ] || [ -d "$store" ] || { echo "error: STORE is not a directory: $store" >&2; exit 2; }
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "1/4 Packages"
deploy/install_packages.sh build

step "2/4 Build (build/release/bin)"
mkdir -p build
cmake --preset release -DTENSORD_BUILD_TESTS=OFF >build/configure.log 2>&1 ||
  { cat build/configure.log >&2; exit 1; }
cmake --build build/release --target tensord tensorctl
tensord=build/release/bin/tensord tensorctl=build/release/bin/tensorctl

step "3/4 Serve"
if [ -z "$store" ]; then
  store=build/sample-store
  python3 deploy/make_sample_store.py "$store"
  echo "No STORE given: made a sample in $store"
fi
listen=${TENSORD_LISTEN:-127.0.0.1:50051}
! $once || [ -n "${TENSORD_LISTEN:-}" ] || listen=127.0.0.1:0
log=build/quickstart.log
"$tensord" --store "$store" --listen "$listen" --log-format text 2>"$log" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true' EXIT
address=''
for _ in $(seq 600); do
  address=$(sed -n 's/.*listening address=\([^ ]*\).*/\1/p' "$log" | head -1)
  [ -z "$address" ] || break
  kill -0 $server 2>/dev/null || break
  sleep 0.1
done
[ -n "$address" ] || { echo "error: tensord did not start:" >&2; cat "$log" >&2; exit 1; }
export TENSORD_ADDRESS=$address
echo "tensord serves $store at $address"

step "4/4 Read"
echo "\$ tensorctl models"
"$tensorctl" models
python3 deploy/check_first_slice.py "$tensorctl" "$store"

cat <<TEXT

Everything works. Try it from another terminal:

  build/release/bin/tensorctl --server $address models
  grpcurl -plaintext $address tensord.v1.TensorStore/ListModels
  grpcurl -plaintext $address describe tensord.v1.TensorStore
TEXT
if $once; then
  kill -TERM $server
  wait $server
  trap - EXIT
  exit 0
fi
echo
echo "Serving on at $address; Ctrl-C ends. The log follows:"
tail -n +1 -f "$log" --pid=$server &
trap 'kill -TERM $server 2>/dev/null || true' INT TERM
wait $server || true
