#!/bin/sh
# The compiler, as Cargo calls it, with what `cargo fuzz` passes for coverage. Without its sanitizers: there is no unsafe code
# here for them, and they need a nightly compiler.
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
