#!/bin/sh
# Sees to it that there is a promtool for the tests of the alert rules: what PROMTOOL names, or one on the PATH, or the
# one of Debian's package. Without one those tests are skipped, and say so.
set -eu

[ -z "${PROMTOOL:-}" ] || exit 0
# As in tests/src/fetched.rs.
tool=target/tools/bin/promtool
if command -v promtool >/dev/null 2>&1 || [ -x "$tool" ]; then exit 0; fi

version=2.42.0+ds-5+deb12u1
architecture=$(dpkg --print-architecture 2>/dev/null || echo unknown)
case "$architecture" in
amd64) digest=81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55 ;;
*) digest= ;;
esac

if [ -n "$digest" ]; then
    echo "fetching promtool"
    package="p/prometheus/prometheus_${version}_${architecture}.deb"
    if tests/tools/debian.sh "$package" "$digest" usr/bin/promtool "$tool"; then exit 0; fi
fi

echo "missing: promtool, for the tests of the alert rules" >&2
echo "    install it: sudo apt-get install prometheus, or name one with PROMTOOL=path" >&2
[ "${REQUIRE_ALL:-}" != 1 ]
