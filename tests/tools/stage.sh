#!/bin/sh
# Runs one stage of `make ci` and says how long it took: stage.sh NAME COMMAND...
name=$1
shift
started=$(date +%s)
echo "==> $name"
"$@"
status=$?
if [ "$status" -eq 0 ]; then outcome="ok"; else outcome="FAILED ($status)"; fi
echo "<== $name: $outcome after $(($(date +%s) - started)) s"
exit "$status"
