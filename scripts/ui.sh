#!/usr/bin/env bash
# Builds the web application into ui/dist, unless it is newer than everything it is made of.
set -euo pipefail
cd "$(dirname "$0")/../ui"
if [ -f dist/index.html ] && [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -name schema.d.ts -prune -o -type f -newer dist/index.html -print -quit)" ]; then
    exit 0
fi
command -v npm >/dev/null || { echo "npm is needed to build the web application: install Node 20 or newer" >&2; exit 1; }
echo "==> building the web application"
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules ]; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules
fi
npm run --silent build
