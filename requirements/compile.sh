#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compile the locks: `compile.sh UV` writes them, `compile.sh UV --check` diffs.
# The existing lock is the starting point, so nothing moves unless an *.in file asks.
set -euo pipefail
uv=$(realpath "$1"); mode=${2:-write}
cd "$(dirname "$0")"
for name in install run demo dev deploy; do
  out=$name.lock
  if [ "$mode" = "--check" ]; then
    out=$(mktemp); trap 'rm -f "$out"' EXIT; cp "$name.lock" "$out"
  fi
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate --override overrides.txt \
    "$name.in" -o "$out"
  if [ "$mode" = "--check" ] && ! diff -u "$name.lock" "$out"; then
    echo "requirements/$name.lock is not what $name.in gives: run make lock" >&2
    exit 1
  fi
done
