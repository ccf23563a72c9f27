#!/bin/sh
# Run every test, in two processes side by side: most of them wait for others more than they
# calculate, and one process leaves a core idle. With arguments, pytest gets them and runs alone.
#   scripts/test.sh [PYTEST ARGUMENTS]
set -eu
cd "$(dirname "$0")/.."
pytest=.venv/bin/pytest
[ $# -eq 0 ] || exec "$pytest" "$@"

log=$(mktemp)
"$pytest" tests/trainer >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || true; rm -f "$log"' EXIT
trap 'exit 130' INT TERM
echo "[test] tests/trainer runs beside the others and is printed after them; until then: tail -f $log"

others=0 pipeline=0
"$pytest" --ignore=tests/trainer || others=$?
wait "$beside" || pipeline=$?
cat "$log"
echo "[test] exit codes: tests/trainer $pipeline, all others $others"
[ "$others" -eq 0 ] && [ "$pipeline" -eq 0 ]
