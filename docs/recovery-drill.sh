#!/bin/sh
# The recovery drill: the newest backup becomes a host beside the one that was lost, and shows that its books are
# the same. docs/recovery.md explains it; tests/system/tests/records.rs runs it.
#
#   recovery-drill.sh CONFIG BACKUPS FOLDER LISTEN
#
#   CONFIG   the configuration of the host that was backed up
#   BACKUPS  where backups are: a folder, or s3://BUCKET/PREFIX
#   FOLDER   where the new host keeps its state; it must not hold a database
#   LISTEN   where the new host answers, such as 127.0.0.1:8081
#
# It writes FOLDER/host.toml, restores into FOLDER, and checks the books. Nothing is sent to the broker: starting
# the host is up to you, and the last line says how. It needs `sandpit` on PATH, or its path in SANDPIT.
set -eu

[ $# -eq 4 ] || { sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
config=$1 backups=$2 folder=$3 listen=$4
sandpit=${SANDPIT:-sandpit}
started=$(date +%s)

mkdir -p "$folder"
new=$folder/host.toml
[ ! -e "$new" ] || { echo "error: $new exists; name an empty folder" >&2; exit 12; }
# The same host, but for where its state is and where it answers.
sed -e "s|^state_dir *=.*|state_dir = \"$folder/state\"|" -e "s|^listen *=.*|listen = \"$listen\"|" \
    "$config" >"$new.partial"
grep -q '^listen *=' "$new.partial" || sed -i "1i listen = \"$listen\"" "$new.partial"
mv "$new.partial" "$new"

"$sandpit" db restore --config "$new" --from "$backups"
"$sandpit" db check --config "$new"
echo "restored and checked in $(($(date +%s) - started)) s"
echo "start it: stop the old host for good, then: $sandpit run --config $new"
