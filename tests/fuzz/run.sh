#!/bin/sh
# Runs every fuzz target for so many seconds: tests/fuzz/run.sh SECONDS TARGET-DIRECTORY [TARGET ...]
#
# Prints how many inputs each has judged, and what went wrong. What is found interesting is kept in the target directory, beside
# the corpora of the repository; an input that breaks something too, and its path is printed.
set -eu

seconds=$1 directory=$2
shift 2
home=$(cd "$(dirname "$0")" && pwd)
host=$(rustc -vV | sed -n 's/^host: //p')

# What `cargo fuzz` passes, without its sanitizers: there is no unsafe code here for them, and they need a nightly compiler.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Ccodegen-units=1"
# The versions that are shipped.
cp "$home/../../Cargo.lock" "$home/Cargo.lock"
CARGO_TARGET_DIR=$directory cargo build --manifest-path "$home/Cargo.toml" --target "$host" --bins

failed=
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' "$home/Cargo.toml")
for target in "$@"; do
    found=$directory/corpus/$target
    mkdir -p "$found" "$directory/broken"
    log=$directory/$target.log
    if "$directory/$host/debug/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$directory/broken/$target-" "$found" "$home/corpus/$target" \
        >"$log" 2>&1; then
        broken=
    else
        broken="BROKEN, see $log"
        failed=1
    fi
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-16s %12s inputs judged in %s s  %s\n' "$target" "${inputs:-0}" "$seconds" "$broken"
done
[ -z "$failed" ] || { ls "$directory/broken" >&2; exit 1; }
