#!/usr/bin/env bash
# Formatting, layering, the proto's rules, and clang-tidy on the files that differ from the last landed commit.
#
# usage: tests/lint.sh [BASE]   BASE: clang-tidy looks at files changed since; default: the parent of HEAD, or all files
#                                 where there is no history
set -euo pipefail
cd "$(dirname "$0")/.."

sources() { find src proto server client tests -name '*.cc' -o -name '*.h'; }

echo "-- clang-format"
sources | xargs clang-format-14 --dry-run --Werror

echo "-- layering"
tests/layering_test.sh

echo "-- buf lint"
(cd proto && ../build/venv/bin/buf lint)

echo "-- clang-tidy"
base=${1:-$(git rev-parse -q --verify HEAD~1 2>/dev/null || true)}
if [ -n "$base" ]; then changed=$(git diff --name-only --diff-filter=d "$base" -- 'src/*.cc' 'proto/*.cc' 'server/*.cc' 'client/*.cc')
else changed=$(sources | grep '\.cc$' | grep -v '^tests/' || true); fi
# Neither is part of this build.
changed=$(grep -vE '^client/(examples|python)/' <<<"$changed" || true)
[ -z "$changed" ] || xargs -P "$(nproc)" -n 1 clang-tidy-14 --quiet -p build/release \
  --extra-arg=-Wno-unknown-warning-option <<<"$changed" 2>/dev/null
echo "clang-tidy: $(wc -w <<<"$changed") files"
