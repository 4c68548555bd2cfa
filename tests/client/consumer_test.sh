#!/usr/bin/env bash
# Installs the client to a prefix of its own, builds client/examples against it as C++17 through find_package, and runs
# the program against a real server.
#
# usage: consumer_test.sh BUILD_DIR COMPILER [FLAG...]
set -euo pipefail
build=$1 compiler=$2
shift 2
examples=$(cd "$(dirname "$0")/../../client/examples" && pwd)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" --component client >/dev/null
if grep -rlE 'grpc|google/protobuf|\.pb\.h' "$work/prefix/include"; then
  echo "the headers above name gRPC or protobuf"
  exit 1
fi
cmake -S "$examples" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS="$* -Wall -Wextra -Werror -Wno-psabi" >"$work/configure.log" || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" >"$work/build.log" || { cat "$work/build.log"; exit 1; }

# A file of a matrix "w" [4, 4] and a scalar "s".
json='{"w":{"dtype":"U8","shape":[4,4],"data_offsets":[0,16]},"s":{"dtype":"U8","shape":[],"data_offsets":[16,17]}}'
mkdir "$work/store"
{ printf "\\x$(printf %02x ${#json})\\0\\0\\0\\0\\0\\0\\0"; printf '%s' "$json"; printf 0123456789abcdefg; } \
  >"$work/store/tiny.safetensors"

"$build/bin/tensord" --store "$work/store" --listen 127.0.0.1:0 --log-format text 2>"$work/log" &
server=$!
until address=$(sed -n 's/.*listening address="\{0,1\}\([^ "]*\).*/\1/p' "$work/log") && [ -n "$address" ]; do
  kill -0 "$server" || { cat "$work/log"; exit 1; }
  sleep 0.05
done
got=$("$work/build/read_slices" "$address" tiny 1 2)
[ "$got" = "read 8 bytes of 1 tensors of tiny" ] || { echo "got: $got"; exit 1; }
if "$work/build/read_slices" "$address" nothing 0 1 2>"$work/error"; then
  echo "an unknown model was no error"
  exit 1
fi
grep -q NOT_FOUND "$work/error"
