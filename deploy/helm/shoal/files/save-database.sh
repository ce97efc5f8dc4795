# The second half of a backup, in PostgreSQL's own image: what `shoal backup --no-database` began in /backup/new gets the
# database, and then its name. Compose and the chart both run this.
set -eu
test -e /backup/new/manifest.json || { echo "no streams in /backup/new: shoal backup /backup/new --no-database" >&2; exit 1; }
pg_dump --format=custom --file=/backup/new/database.dump --dbname="$(cat "$SHOAL_DATABASE_URL_FILE")"
name=$(date -u +%Y-%m-%dT%H%M%SZ)
mv /backup/new "/backup/$name"
ln -sfn "$name" /backup/latest
find /backup -mindepth 1 -maxdepth 1 -name '2*' -mtime "+$KEEP_DAYS" -exec rm -rf {} +
echo "saved in /backup/$name"
