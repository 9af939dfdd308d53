#!/usr/bin/env bash
# The long forms of the open-ended suites: 1,000 kills, 10,000 simulation seeds, minutes of fuzzing for each
# decoder. Result and commit go to bench/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
commit=$(git rev-parse --short HEAD)
results=()
run() {
    local name=$1
    shift
    local started=$SECONDS
    echo "==> $name"
    if "$@"; then results+=("| $name | passed | $((SECONDS - started)) s |"); else results+=("| $name | FAILED | $((SECONDS - started)) s |"); fi
}
cargo build -p bellwether
python_environment
run "${SIM_SEEDS:-10000} simulation seeds" env SIM_SEEDS="${SIM_SEEDS:-10000}" cargo test -p sim
run "${KILLS:-1000} kills under load" env KILLS="${KILLS:-1000}" target/venv/bin/python -m pytest -q tests/test_crash.py
run "fuzzing, ${SECONDS_EACH:-300} s for each decoder" env SECONDS_EACH="${SECONDS_EACH:-300}" scripts/fuzz.sh
{
    echo
    echo "## Soak, $(date +%F), commit $commit"
    echo
    echo "| \`make soak\` | result | time |"
    echo "|---|---|---:|"
    printf '%s\n' "${results[@]}"
} | tee -a bench/RESULTS.md
case "${results[*]}" in *FAILED*) exit 1 ;; esac
