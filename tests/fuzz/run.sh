#!/bin/sh
# Runs every fuzz target for so many seconds: tests/fuzz/run.sh all|ours SECONDS [TARGET ...]
#
# `all`: everything is built for coverage, libraries too, in a directory of its own. `ours`: only the crates of this repository
# are, beside what `make test` has built; much sooner there, and enough to see whether a target still holds.
#
# Prints how many inputs each has judged, and what went wrong; for other programs in target/fuzz/results.json. What is found
# interesting is kept in target/fuzz, beside the corpora of the repository; an input that breaks something too, and its path
# is printed.
set -eu

coverage=$1 seconds=$2
shift 2
home=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$home/../../target}
directory=$target/fuzz
[ $# -gt 0 ] || set -- $(cd "$home/targets" && ls | sed 's/\.rs$//')

cd "$home/../.."
bins=$(printf -- '--bin %s ' "$@")
case $coverage in
all)
    host=$(rustc -vV | sed -n 's/^host: //p')
    # Optimized a little, as libraries are. With a target named, build scripts and macros are built without the flags.
    RUSTFLAGS="$("$home/rustc.sh" echo) -Copt-level=1" CARGO_TARGET_DIR=$directory \
        cargo build --target "$host" -p portcullis-fuzz --features targets $bins
    programs=$directory/$host/debug
    ;;
ours)
    # The whole workspace is named for its features of the libraries: others would have them built once more.
    RUSTC_WORKSPACE_WRAPPER=$home/rustc.sh \
        cargo build --workspace --features portcullis-fuzz/targets $bins --example like_tests
    programs=$target/debug
    ;;
esac

# Runs one target, and leaves a file if it broke.
judge() {
    found=$directory/corpus/$1 log=$directory/$1.log
    mkdir -p "$found" "$directory/broken"
    rm -f "$directory/$1.failed"
    broken=
    "$programs/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$directory/broken/$1-" "$found" "$home/corpus/$1" >"$log" 2>&1 ||
        { broken="BROKEN, see $log"; touch "$directory/$1.failed"; }
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-16s %12s inputs judged in %s s  %s\n' "$1" "${inputs:-0}" "$seconds" "$broken"
    crashes=0 holds=true
    [ -z "$broken" ] || crashes=1 holds=false
    {
        printf '  "%s: inputs": {"value": %s, "unit": "inputs", "target": "none", "holds": true},\n' "$1" "${inputs:-0}"
        printf '  "%s: crashes": {"value": %s, "unit": "inputs", "target": "0", "holds": %s}' "$1" "$crashes" "$holds"
    } >"$directory/$1.figures"
}

# As many at once as there are processors; each takes the same time.
processors=$(getconf _NPROCESSORS_ONLN) running=0
for name in "$@"; do
    judge "$name" &
    running=$((running + 1))
    [ $((running % processors)) -ne 0 ] || wait
done
wait
{
    echo '{'
    separator=
    for name in "$@"; do
        printf '%s' "$separator"
        cat "$directory/$name.figures"
        separator=',
'
    done
    printf '\n}\n'
} >"$directory/results.json"
for name in "$@"; do
    [ ! -e "$directory/$name.failed" ] || { ls "$directory/broken" >&2; exit 1; }
done
