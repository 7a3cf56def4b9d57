#!/bin/sh
# Lists the tests that were skipped, so that a green run does not hide them: skipped.sh FILE
if [ -s "$1" ]; then
    echo "SKIPPED on this machine (REQUIRE_ALL=1 makes each a failure):"
    sort -u "$1" | sed 's/^/  /'
fi
