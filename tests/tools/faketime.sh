#!/bin/sh
# Sees to it that there is a libfaketime for stories about wrong clocks: what LIBFAKETIME names, or the one of Debian's package,
# taken out of it without installing anything, so that nobody has to be root. Without one those stories are skipped, and say
# so.
set -eu

[ -z "${LIBFAKETIME:-}" ] || exit 0
# As in tests/src/fetched.rs.
library=target/tools/lib/libfaketimeMT.so.1
if [ -e "$library" ]; then exit 0; fi

version=0.9.10-2.1
architecture=$(dpkg --print-architecture 2>/dev/null || echo unknown)
case "$architecture" in
amd64) digest=b09481e7690680966005330c3f907bba4b5eefc35e1faaea4783cc55655d1150 ;;
*) digest= ;;
esac

if [ -n "$digest" ] && command -v curl >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
    echo "fetching libfaketime"
    work=target/tools/faketime
    mkdir -p "$work" target/tools/lib
    file="libfaketime_${version}_${architecture}.deb"
    url="http://deb.debian.org/debian/pool/main/f/faketime/$file"
    if curl -sSfL --retry 2 -o "$work/$file" "$url" && echo "$digest  $work/$file" | sha256sum --check --status; then
        dpkg-deb --fsys-tarfile "$work/$file" | tar -x -C "$work"
        mv "$work"/usr/lib/*/faketime/libfaketimeMT.so.1 "$library"
        rm -rf "$work"
        exit 0
    fi
    rm -rf "$work"
fi

echo "missing: libfaketime, for stories about wrong clocks" >&2
echo "    install it: sudo apt-get install libfaketime, and name its libfaketimeMT.so.1 with LIBFAKETIME=path" >&2
[ "${REQUIRE_ALL:-}" != 1 ]
