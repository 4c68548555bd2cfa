#!/usr/bin/env bash
# Fetches gRPC's source package from Debian and prints the directory of its server fuzz corpus; fails where there is no way to it.
# Nothing of it is ever committed.
# usage: fetch_corpus.sh DIRECTORY
set -euo pipefail
directory=${1:?usage: fetch_corpus.sh DIRECTORY}
mkdir -p "$directory/lists/partial"
directory=$(cd "$directory" && pwd)
corpus=$directory/corpus
if [ ! -d "$corpus" ]; then
  echo "deb-src http://deb.debian.org/debian bookworm main" >"$directory/sources.list"
  options=(-o "Dir::Etc::SourceList=$directory/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$directory/lists"
    -o "Dir::Cache::srcpkgcache=$directory/srcpkgcache.bin" -o "Dir::Cache::pkgcache=$directory/pkgcache.bin")
  cd "$directory"
  apt-get "${options[@]}" update -qq >&2
  apt-get "${options[@]}" source --download-only -qq grpc >&2
  mkdir -p source
  tar -xf grpc_*.orig.tar.* -C source --strip-components=1 --wildcards '*/test/core/end2end/fuzzers/server_fuzzer_corpus' \
    '*/test/core/transport/chttp2/hpack_parser_corpus'
  mv source/test/core "$corpus"
fi
echo "$corpus"
