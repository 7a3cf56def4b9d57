#!/bin/sh
# Adds what rust-toolchain.toml asks for and this machine lacks. Where rustup installs toolchains by itself there is
# nothing left to do; where that is switched off (RUSTUP_AUTO_INSTALL=0), a build would fail without it.
set -eu
list() { sed -n "s/^$1 = \[\(.*\)\]/\1/p" rust-toolchain.toml | tr -d '",'; }

installed=$(rustup target list --installed)
for target in $(list targets); do
    echo "$installed" | grep -qx "$target" || rustup target add "$target"
done
installed=$(rustup component list --installed)
for component in $(list components); do
    echo "$installed" | grep -q "^$component" || rustup component add "$component"
done
