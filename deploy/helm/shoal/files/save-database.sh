# The second half of a backup, in PostgreSQL's own image: what `shoal backup --no-database` began in the folder given gets
# the database, and then its name. Compose and the chart both run this; with `room` instead of a folder, only to make room.
set -eu
# Before anything is written, not after: a full volume would stay full. The newest whole backup always stays.
for part in $(find /backup -mindepth 2 -maxdepth 2 -path '/backup/2*/database.dump' -size +0 | sort -r |
    tail -n "+$((KEEP > 1 ? KEEP : 2))"); do
  rm -rf /backup/old
  mv "${part%/*}" /backup/old  # at once: half a backup must not look like one
done
rm -rf /backup/old
find /backup -mindepth 1 -maxdepth 1 -name 'new*' -mmin +240 ! -path "$1" -exec rm -rf {} +  # of jobs that had to end
test "$1" != room || exit 0
test -e "$1/manifest.json" || { echo "no streams in $1: shoal backup $1 --no-database" >&2; exit 1; }
exec 9>"$1/lock"
flock -n 9 || { echo "another backup is being written into $1: wait until it is done" >&2; exit 1; }
. "${0%/*}/database-url.sh"
pg_dump --format=custom --file="$1/database.dump" --dbname="$url"
name=$(date -u +%Y-%m-%dT%H%M%SZ)
mv -T "$1" "/backup/$name"
rm "/backup/$name/lock"
ln -sfn "$name" /backup/latest
echo "saved in /backup/$name"
