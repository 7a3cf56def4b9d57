#!/bin/sh
# Takes one file out of a Debian package, without installing anything, so that nobody has to be root. Fails where that
# cannot be done, and leaves nothing then.
#
#   debian.sh <package in the pool, below main/> <its SHA-256> <file in it, a pattern> <where to>
set -eu

package=$1 digest=$2 wanted=$3 target=$4
command -v curl >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
url="http://deb.debian.org/debian/pool/main/$(echo "$package" | sed 's/+/%2b/g')"
curl -sSfL --retry 2 -o "$work/package.deb" "$url"
echo "$digest  $work/package.deb" | sha256sum --check --status
dpkg-deb --fsys-tarfile "$work/package.deb" | tar -x -C "$work"
mkdir -p "$(dirname "$target")"
# The pattern is to be expanded.
# shellcheck disable=SC2086
mv "$work"/$wanted "$target"
