#!/usr/bin/env bash
# Checks the Python package's types and style, builds its sdist and a wheel of that, installs it into an environment of
# its own, and tests it against build/release/bin/tensord. With TENSORD_PYTHON_TORCH=1 torch and transformers are installed too
# (3 GB to download), and the tests that need them run as well.
#
# usage: tests/python/run.sh [PYTEST_ARGUMENT...]
# PYTHON names the interpreter; default: Debian's.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
tag=$("$python" -c 'import sys; print(sys.implementation.cache_tag)')
venv=build/python-venv-$tag wheels=build/wheels sdist=build/sdist
requirements=(tests/python/requirements.txt) chosen="not frameworks"
if [ "${TENSORD_PYTHON_TORCH:-0}" != 0 ]; then
  venv+=-torch chosen=
  requirements+=(tests/python/requirements-torch.txt)
fi

if ! cmp -s <(cat "${requirements[@]}") "$venv/installed-requirements.txt"; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "${requirements[@]/#/-r}"
  cat "${requirements[@]}" >"$venv/installed-requirements.txt"
fi

echo "-- ruff and mypy"
(cd client/python && ../../"$venv/bin/ruff" check -q . && ../../"$venv/bin/ruff" format -q --check .)
(cd client/python && ../../"$venv/bin/mypy")

echo "-- sdist, and the wheel of it"
# Unpacked so that the library's objects come out of the compiler cache: flags and directory depth are the release build's.
rm -rf "$sdist" "$wheels"
"$venv/bin/python" -m build -q --sdist --no-isolation -o "$sdist" client/python >/dev/null
tar -xzf "$sdist"/tensord-*.tar.gz -C "$sdist" --strip-components=1
CCACHE_BASEDIR=$PWD/$sdist/cpp CCACHE_NOHASHDIR=1 CC=/usr/bin/cc CXX=/usr/bin/c++ \
  CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache} \
  "$venv/bin/pip" wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w "$wheels" "$sdist" \
  --config-settings "build-dir=$PWD/$sdist/cpp/build/$tag" --config-settings cmake.define.TENSORD_WERROR=ON
wheel=$(echo "$wheels"/tensord-*.whl)
echo "$(basename "$wheel"): $(stat -c %s "$wheel") bytes"
"$venv/bin/pip" install -q --disable-pip-version-check --force-reinstall --no-deps "$wheel"

echo "-- tests"
"$venv/bin/pytest" -q -rs -m "$chosen" tests/python "$@"
