#!/bin/sh
# Licences, bans and sources always; advisories when their database can be reached, and saying so when not.
# Usage: deny.sh PATH-OF-CARGO-DENY
set -eu
deny=$1

# Each exception concerns one of the two.
allow="--allow license-exception-not-encountered"
"$deny" --workspace --all-features check $allow bans licenses sources
# The fuzz targets are a workspace of their own, with the same versions.
cp Cargo.lock tests/fuzz/Cargo.lock
"$deny" --manifest-path tests/fuzz/Cargo.toml --config deny.toml --all-features check $allow bans licenses sources

if "$deny" --workspace --all-features fetch db >/dev/null 2>&1; then
    "$deny" --workspace --all-features check advisories
else
    echo "SKIPPED: cargo deny check advisories (the advisory database cannot be reached from here)" >&2
fi
