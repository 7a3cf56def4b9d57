#!/bin/sh
# Licences, bans and sources always; advisories when their database can be reached, and saying so when not.
# Usage: deny.sh PATH-OF-CARGO-DENY
set -eu
deny=$1

"$deny" --workspace --all-features check bans licenses sources

if "$deny" --workspace --all-features fetch db >/dev/null 2>&1; then
    "$deny" --workspace --all-features check advisories
else
    echo "SKIPPED: cargo deny check advisories (the advisory database cannot be reached from here)" >&2
fi
