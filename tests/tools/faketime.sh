#!/bin/sh
# Sees to it that there is a libfaketime for stories about wrong clocks: what LIBFAKETIME names, or the one of Debian's
# package. Without one those stories are skipped, and say so.
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

if [ -n "$digest" ]; then
    echo "fetching libfaketime"
    package="f/faketime/libfaketime_${version}_${architecture}.deb"
    if tests/tools/debian.sh "$package" "$digest" 'usr/lib/*/faketime/libfaketimeMT.so.1' "$library"; then exit 0; fi
fi

echo "missing: libfaketime, for stories about wrong clocks" >&2
echo "    install it: sudo apt-get install libfaketime, and name its libfaketimeMT.so.1 with LIBFAKETIME=path" >&2
[ "${REQUIRE_ALL:-}" != 1 ]
