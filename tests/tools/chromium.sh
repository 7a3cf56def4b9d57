#!/bin/sh
# Sees to it that there is a Chromium for the stories in a browser: what CHROMIUM names, or one on the PATH, or, for
# root on Debian and Ubuntu, the distribution's package. Without one those stories are skipped, and say so.
set -eu

[ -z "${CHROMIUM:-}" ] || exit 0
# As in tests/src/fetched.rs.
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "fetching Chromium"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; then exit 0; fi
fi

echo "missing: Chromium, for the stories in a browser" >&2
echo "    install it: sudo apt-get install chromium, or name one with CHROMIUM=path" >&2
[ "${REQUIRE_ALL:-}" != 1 ]
