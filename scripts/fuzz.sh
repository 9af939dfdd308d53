#!/usr/bin/env bash
# Fuzzes every decoder for SECONDS_EACH (default 60). Sanitised builds need no nightly: cargo-fuzz is told to
# leave out the sanitiser and to accept the stable compiler's instrumentation flags.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
export RUSTC_BOOTSTRAP=1
for target in $(cargo fuzz list); do
    echo "==> $target"
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="${SECONDS_EACH:-60}" -rss_limit_mb=1024
done
