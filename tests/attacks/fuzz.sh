#!/usr/bin/env bash
# The long form of the wire fuzzer: 10 million frames at the ASan build, seeded with gRPC's corpus where that can be fetched.
# usage: tests/attacks/fuzz.sh [FRAMES]
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1
frames=${1:-10000000}
deploy/install_packages.sh test
tests/tools.sh
cmake --preset asan -DTENSORD_BUILD_TESTS=ON -DCMAKE_CXX_COMPILER_LAUNCHER=ccache >/dev/null
cmake --build build/asan --target tensord
corpus=$(tests/attacks/fetch_corpus.sh build/grpc-corpus) || echo "no corpus: gRPC's source cannot be fetched" >&2
scratch=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
build/venv/bin/python -c "import sys, pathlib; sys.path.insert(0, 'tests/attacks'); import big_store; big_store.make_store(pathlib.Path('$scratch/store'))"
# Without the sandbox, which would keep the sanitizer from reporting.
build/asan/bin/tensord --store "$scratch/store" --listen 127.0.0.1:0 --http-listen off --sandbox off --log-format json \
  --access-log off 2>"$scratch/log" &
server=$!
until grep -q 'listening address' "$scratch/log"; do kill -0 "$server"; sleep 0.1; done
address=$(sed -n 's/.*listening address=\([^" ]*\).*/\1/p' "$scratch/log")
build/venv/bin/python tests/attacks/wire_fuzz.py "$address" --seconds 100000 --frames "$frames" ${corpus:+--corpus "$corpus"}
kill -TERM "$server"
wait "$server" || { cat "$scratch/log"; exit 1; }
