# The first half of a restore, in PostgreSQL's own image; `shoal restore DIR --no-database` is the second. Takes the folder
# of the backup. The database was migrated once, so that roles are there.
set -eu
export PGOPTIONS='-c client_min_messages=warning'
from=$1
url=$(cat "$SHOAL_DATABASE_URL_FILE")
test -s "$from/database.dump" || { echo "$from has no database.dump" >&2; exit 1; }
psql --quiet --tuples-only --set=ON_ERROR_STOP=1 --dbname="$url" <<'SQL'
select format('drop schema %I cascade', schemaname) from pg_tables where tablename = 'schema_migration' \gexec
SQL
pg_restore --single-transaction --exit-on-error --dbname="$url" "$from/database.dump"
echo "PostgreSQL is as it was in $(readlink -f "$from")"
