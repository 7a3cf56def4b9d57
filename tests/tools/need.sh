#!/bin/sh
# Names each missing prerequisite with the command that installs it: need.sh cargo cc c++ python node
set -u
missing=0

report() {
    echo "missing: $1" >&2
    echo "    install it: $2" >&2
    missing=1
}

has() { command -v "$1" >/dev/null 2>&1; }

for prerequisite in "$@"; do
    case "$prerequisite" in
    cargo)
        has cargo && has rustup ||
            report "Rust, managed by rustup" "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        ;;
    cc)
        has cc || report "a C compiler (cc)" "sudo apt-get install build-essential"
        ;;
    c++)
        has c++ || report "a C++ compiler (c++), for the fuzzer" "sudo apt-get install build-essential"
        ;;
    python)
        python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
            report "Python 3.10 or later with venv" "sudo apt-get install python3 python3-venv"
        ;;
    node)
        has node && has npm || report "Node.js with npm" "sudo apt-get install nodejs npm"
        ;;
    *)
        echo "need.sh: unknown prerequisite '$prerequisite'" >&2
        exit 2
        ;;
    esac
done
exit "$missing"
