#!/bin/sh
# Builds Go's parsers: tests/tools/go_parser.sh OUTPUT CACHE VENV
#
# With Go from the Python environment, where PyPI has one for this machine, or with the one on the PATH. Of the standard
# library alone, so nothing is fetched. `encoding/json/v2` is an experiment to some releases of Go.
set -eu

output=$1 cache=$2 venv=$3
if [ -x "$venv/bin/go" ]; then
    go=$venv/bin/go
elif ! go=$(command -v go); then
    echo "no Go on PyPI for this machine, and none on the PATH: Go's parsers are not asked" >&2
    echo "    install it: sudo apt-get install golang-go" >&2
    [ "${REQUIRE_ALL:-}" != 1 ]
    exit
fi
cd "$(dirname "$0")/../parsers/go"
GOEXPERIMENT=jsonv2 GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=0 GOCACHE=$cache "$go" build -o "$output" .
