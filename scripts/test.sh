#!/usr/bin/env bash
# Every check and every test, in the order in which they are cheap. Servers that tests need are Debian's,
# installed when missing and started by the tests themselves on private ports.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

phase "install what is missing"
need prometheus prometheus
need promtool prometheus
need amtool prometheus-alertmanager
need prometheus-node-exporter prometheus-node-exporter
need chromium chromium
need strace strace
need curl curl
need runuser util-linux
need logger bsdutils
need rsyslogd rsyslog
need xmlsec1 xmlsec1
need redis-server redis-server
need mariadbd mariadb-server-core
need my_print_defaults mariadb-client-core
ls /usr/lib/*/rsyslog/omelasticsearch.so >/dev/null 2>&1 || missing+=(rsyslog-elasticsearch)
need psql postgresql-client
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then missing+=(postgresql); fi
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
install_missing
command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest

phase "web application: build"
scripts/ui.sh

phase "format, lints, tidiness"
cargo xtask check

phase "web application: types and units"
(cd ui && npm run --silent check && npm test --silent)

phase "build the tests and the binary"
# One selection of packages and targets for binary and tests: another one has other features, and the SQL engine
# would be built a second time.
cargo build --workspace --all-targets

phase "units, properties and scripts"
scripts/with-postgres.sh cargo nextest run --workspace

phase "the binary with real clients"
python_environment
scripts/js.sh
scripts/with-postgres.sh target/venv/bin/python -m pytest -q tests

phase ""
