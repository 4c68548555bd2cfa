#!/usr/bin/env bash
# Builds the image from Dockerfile without a Docker engine: with Debian's buildah, in a chroot, on a base that debootstrap makes.
#
# usage: deploy/image.sh [TAG [WORKER_TAG]]   as root; TAG: localhost/tensord:latest; WORKER_TAG: of the example worker, if wanted
#   BASE=IMAGE             build on this image, which is pulled, instead of a debootstrap'ed Debian 12
#   TENSORD_IMAGE_DIR=DIR  where the images are kept; default: build/image
#   TENSORD_CCACHE=DIR     compile through this compiler cache
# Prints the image's id, and writes DIR/tensord.oci.tar and DIR/tensord.cdx.json. The same checkout and base give the same id.
set -euo pipefail
usage() { sed -n '/^# usage/,/^# Prints/s/^# \{0,1\}//p' "$0"; }
case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
esac
[ $# -le 2 ] || { usage >&2; exit 2; }
cd "$(dirname "$0")/.."
tag=${1:-localhost/tensord:latest} worker_tag=${2:-}
dir=$(realpath -m "${TENSORD_IMAGE_DIR:-build/image}")
base=${BASE:-}

[ "$(id -u)" -eq 0 ] || { echo "error: chroots are made by root only" >&2; exit 1; }
deploy/install_packages.sh image
mkdir -p "$dir"
storage=(--root "$dir/store" --runroot "$dir/run" --storage-driver overlay)

# What debian:bookworm-slim is to the Dockerfile, for a machine that reaches Debian's packages only. It gets packages as this one does.
make_base() {
  base=localhost/debian:bookworm
  ! buildah "${storage[@]}" inspect --type image "$base" >/dev/null 2>&1 || return 0
  if [ ! -e "$dir/base/complete" ]; then
    rm -rf "$dir/base"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$dir/base" >"$dir/debootstrap.log" ||
      { tail -20 "$dir/debootstrap.log" >&2; return 1; }
    apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$dir/base/etc/apt/apt.conf.d/90host" || true
    rm -rf "$dir/base"/var/cache/apt/archives/*.deb
    touch "$dir/base/complete"
  fi
  local container
  container=$(buildah "${storage[@]}" from scratch)
  buildah "${storage[@]}" add -q "$container" "$dir/base" / >/dev/null
  buildah "${storage[@]}" config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah "${storage[@]}" commit -q --rm "$container" "$base" >/dev/null
}

[ -n "$base" ] || make_base
options=(--build-arg "BASE=$base" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || true)")
if [ -n "${TENSORD_CCACHE:-}" ]; then
  launcher="env;CCACHE_DIR=/ccache;CCACHE_BASEDIR=/source;CCACHE_NOHASHDIR=1;ccache"
  options+=(--volume "$TENSORD_CCACHE:/ccache" --build-arg EXTRA_PACKAGES=ccache
    --build-arg "CMAKE_OPTIONS=-DTENSORD_WERROR=ON -DCMAKE_CXX_COMPILER_LAUNCHER=$launcher")
fi
pull=never
[ -z "${BASE:-}" ] || pull=true
# Docker's format, because the other has no place for the health check. Times are all 0: the same content is the same image.
build() { # TAG [OPTION...]
  buildah "${storage[@]}" bud --isolation chroot "--pull=$pull" --network host --format docker --timestamp 0 --layers \
    "${options[@]}" "${@:2}" -f Dockerfile -t "$1" .
  local settled
  settled=$(mktemp -d -p "$dir")
  buildah "${storage[@]}" push -q --format v2s2 "$1" "dir:$settled"
  deploy/image/settle.py "$settled"
  buildah "${storage[@]}" tag "$(buildah "${storage[@]}" pull -q "dir:$settled")" "$1"
  rm -rf "$settled"
}
build "$tag"
[ -z "$worker_tag" ] || build "$worker_tag" --target worker
buildah "${storage[@]}" push -q "$tag" "oci-archive:$dir/tensord.oci.tar"
container=$(buildah "${storage[@]}" from --pull-never "$tag")
cp "$(buildah "${storage[@]}" mount "$container")/usr/share/sbom/tensord.cdx.json" "$dir/"
buildah "${storage[@]}" rm "$container" >/dev/null
buildah "${storage[@]}" inspect --type image --format '{{.FromImageID}}' "$tag"
