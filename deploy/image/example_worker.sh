#!/bin/sh
# An example of a worker, for the manifests: reads the first element of each dimension 0 of every tensor, and says what it read.
# usage: example_worker.sh ADDRESS [--once]
set -eu
export TENSORD_ADDRESS="$1"
once=${2:-}

names() { sed -n "s/^{\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }

while :; do
  tensorctl --json models | names id | while read -r model; do
    tensorctl --json ls "$model" | names name | while read -r tensor; do
      tensorctl get "$model" "$tensor[0:1]" -o -
    done | sha256sum | sed "s|-\$|$model|"
  done
  [ "$once" != --once ] || break
  sleep 10
done
