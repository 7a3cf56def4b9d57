#!/bin/sh
# Sees to it that there is a promtool for the tests of the alert rules: what PROMTOOL names, or one on the PATH, or the
# one of Debian's package, taken out of it without installing anything, so that nobody has to be root. Without one those
# tests are skipped, and say so.
set -eu

[ -z "${PROMTOOL:-}" ] || exit 0
# As in tests/src/fetched.rs.
if command -v promtool >/dev/null 2>&1 || [ -x target/tools/bin/promtool ]; then exit 0; fi

version=2.42.0+ds-5+deb12u1
architecture=$(dpkg --print-architecture 2>/dev/null || echo unknown)
case "$architecture" in
amd64) digest=81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55 ;;
*) digest= ;;
esac

if [ -n "$digest" ] && command -v curl >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
    echo "fetching promtool"
    work=target/tools/promtool
    mkdir -p "$work" target/tools/bin
    file="prometheus_${version}_${architecture}.deb"
    url="http://deb.debian.org/debian/pool/main/p/prometheus/$(echo "$file" | sed 's/+/%2b/g')"
    if curl -sSfL --retry 2 -o "$work/$file" "$url" && echo "$digest  $work/$file" | sha256sum --check --status; then
        dpkg-deb --fsys-tarfile "$work/$file" | tar -x -C "$work" ./usr/bin/promtool
        mv "$work/usr/bin/promtool" target/tools/bin/promtool
        rm -rf "$work"
        exit 0
    fi
    rm -rf "$work"
fi

echo "missing: promtool, for the tests of the alert rules" >&2
echo "    install it: sudo apt-get install prometheus, or name one with PROMTOOL=path" >&2
[ "${REQUIRE_ALL:-}" != 1 ]
