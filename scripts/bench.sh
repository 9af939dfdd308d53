#!/usr/bin/env bash
# Bellwether beside Debian's VictoriaMetrics and Prometheus on the same data in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need victoria-metrics victoria-metrics
need prometheus prometheus
need prometheus-node-exporter prometheus-node-exporter
install_missing
cargo build --release -p bellwether -p loadgen
python_environment
exec target/venv/bin/python bench/run.py "$@"
