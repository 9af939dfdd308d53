#!/usr/bin/env bash
# Runs a command with a PostgreSQL of its own: fresh, on a Unix socket in a temporary folder, gone at the end.
# The command finds it in BELLWETHER_TEST_POSTGRES.
set -euo pipefail
bin=$(dirname "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb | tail -n 1)")
home=$(mktemp -d)
as=()
# initdb refuses to run as root.
if [ "$(id -u)" -eq 0 ]; then
    id postgres >/dev/null 2>&1 || useradd --system --no-create-home postgres
    chown postgres "$home"
    as=(runuser -u postgres --)
fi
cleanup() {
    "${as[@]}" "$bin/pg_ctl" -D "$home/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap cleanup EXIT
cd "$home"
"${as[@]}" "$bin/initdb" -D "$home/data" -A trust -U postgres >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$home/data" -w -l "$home/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$home' -c fsync=off" start >/dev/null || { cat "$home/log"; exit 1; }
cd "$OLDPWD"
export BELLWETHER_TEST_POSTGRES="postgres://postgres@localhost/postgres?host=$home"
"$@"
