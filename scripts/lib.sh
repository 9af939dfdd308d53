# Shared by the scripts: installing what is missing, and saying how long each phase took.

# need COMMAND PACKAGE: installs a Debian package when a command is missing.
need() {
    if ! command -v "$1" >/dev/null 2>&1; then missing+=("$2"); fi
}

# install_missing: one apt-get for all that `need` found. Servers among them are not started: tests start their own on
# private ports, and one on the usual port would be in the way.
install_missing() {
    [ "${#missing[@]}" -eq 0 ] && return 0
    local sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    echo "==> installing ${missing[*]}"
    $sudo apt-get update -qq
    local policy=/usr/sbin/policy-rc.d own=""
    if [ ! -e $policy ]; then
        own=1
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
    fi
    local failed=0
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || failed=$?
    [ -z "$own" ] || $sudo rm -f $policy
    [ "$failed" -eq 0 ] || return "$failed"
    missing=()
}
missing=()

# phase NAME: ends the phase before and starts one; phase "" prints the table.
phases=()
phase() {
    local now=$SECONDS
    if [ -n "${phase_name:-}" ]; then phases+=("$(printf '%5ds  %s' $((now - phase_start)) "$phase_name")"); fi
    phase_name=$1
    phase_start=$now
    if [ -n "$1" ]; then
        echo "==> $1"
    else
        echo "==> time budget: 15 minutes to build and lint, 15 for the tests"
        printf '%s\n' "${phases[@]}"
        printf '%5ds  in all\n' "$SECONDS"
    fi
}

# The Python environment of the tests, made once below target/.
python_environment() {
    local venv=target/venv
    if [ ! -x $venv/bin/python ] || [ tests/requirements.txt -nt $venv/ready ]; then
        python3 -m venv $venv
        $venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
        touch $venv/ready
    fi
}
