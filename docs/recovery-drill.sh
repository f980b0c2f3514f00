#!/bin/sh
# The recovery drill: the newest backup becomes a host beside the one that was lost, and shows that its books are
# the same. docs/recovery.md explains it; tests/system/tests/records.rs runs it.
#
#   recovery-drill.sh [--database-url URL] CONFIG BACKUPS FOLDER LISTEN
#
#   URL      of a host whose records are on PostgreSQL: the new, empty database; - reads it from standard input,
#            where nobody sees its password in the list of processes
#   CONFIG   the configuration of the host that was backed up
#   BACKUPS  where backups are: a folder, or s3://BUCKET/PREFIX
#   FOLDER   where the new host keeps its state; it must not hold a database
#   LISTEN   where the new host answers, such as 127.0.0.1:8081
#
# It writes FOLDER/host.toml, restores into FOLDER or URL, and checks the books. Nothing is sent to the broker:
# starting the host is up to you, and the last line says how. It needs `sandpit` on PATH, or its path in SANDPIT.
set -eu

url=
if [ "${1-}" = --database-url ] && [ $# -ge 2 ]; then
    url=$2
    [ "$url" != - ] || IFS= read -r url
    shift 2
fi
[ $# -eq 4 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
config=$1 backups=$2 folder=$3 listen=$4
sandpit=${SANDPIT:-sandpit}
started=$(date +%s)

mkdir -p "$folder"
new=$folder/host.toml
[ ! -e "$new" ] || { echo "error: $new exists; name an empty folder" >&2; exit 12; }
# The same host, but for where its state and its records are and where it answers.
umask 077
sed -e "s|^state_dir *=.*|state_dir = \"$folder/state\"|" -e "s|^listen *=.*|listen = \"$listen\"|" \
    "$config" >"$new.partial"
grep -q '^listen *=' "$new.partial" || sed -i "1i listen = \"$listen\"" "$new.partial"
if [ -n "$url" ]; then
    # The variable counts more than the file, and it names the old one.
    unset DATABASE_URL
    URL=$url awk '
        function here() { print "url = \"" ENVIRON["URL"] "\""; is_there = 1 }
        /^\[/ { in_section = /^\[database\]/ }
        /^database\.url *=/ || (in_section && /^url *=/) { next }
        { print }
        /^\[database\]/ { here() }
        END { if (!is_there) { print "\n[database]"; here() } }' "$new.partial" >"$new.with-url"
    mv "$new.with-url" "$new.partial"
fi
mv "$new.partial" "$new"

"$sandpit" db restore --config "$new" --from "$backups"
"$sandpit" db check --config "$new"
echo "restored and checked in $(($(date +%s) - started)) s"
if [ -n "$url" ]; then
    echo "$new names the new database; DATABASE_URL, where it is set, has to name it, too"
fi
echo "start it: stop the old host for good, then: $sandpit run --config $new"
