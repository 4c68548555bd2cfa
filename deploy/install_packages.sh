#!/usr/bin/env bash
# Installs the Debian 12 packages that building (build), testing (test) or benchmarking (bench) tensord needs, and what its
# image (image) and the tests of deploy/ (deploy, and containers for the image's) need; does nothing where they are.
# usage: deploy/install_packages.sh build|test|image|deploy|containers|bench
set -euo pipefail

build_packages=(
  ca-certificates g++ cmake ninja-build pkg-config
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler libabsl-dev
  libspdlog-dev libcli11-dev rapidjson-dev nlohmann-json3-dev libssl-dev libseccomp-dev libhttp-parser-dev
  grpc-proto                                    # grpc.health.v1 and grpc.reflection.v1, the protos
  python3                                       # makes the sample store, checks the first slice
)
test_packages=(
  "${build_packages[@]}"
  libgtest-dev libgmock-dev git ccache
  clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev llvm-14
  python3-venv python3-dev
  strace binutils                               # what tests/attacks sees of the server from outside
  nginx-light haproxy                           # the proxies of tests/e2e
)
bench_packages=(
  "${build_packages[@]}"
  libgtest-dev libgmock-dev
  nginx-light libcurl4-openssl-dev libbenchmark-dev # yardsticks and micro-benchmarks
  python3 python3-venv
)

image_packages=(git buildah debootstrap)                      # For deploy/image.sh.
deploy_packages=(python3-venv systemd)                        # For tests/deploy/run.sh --short,
containers_packages=(podman conmon runc catatonit util-linux) # and without --short.

case "${1:-}" in
  build) wanted=("${build_packages[@]}") ;;
  test) wanted=("${test_packages[@]}") ;;
  image) wanted=("${image_packages[@]}") ;;
  deploy) wanted=("${deploy_packages[@]}") ;;
  containers) wanted=("${containers_packages[@]}") ;;
  bench) wanted=("${bench_packages[@]}") ;;
  *) echo "usage: $0 build|test|image|deploy|containers|bench" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "error: not root and no sudo; install these packages: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
