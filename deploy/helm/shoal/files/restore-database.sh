# The first half of a restore, in PostgreSQL's own image; `shoal restore DIR --no-database` is the second. Takes the folder
# of the backup. The database was migrated once, so that roles are there.
set -eu
export PGOPTIONS='-c client_min_messages=warning'
from=$1
. "${0%/*}/database-url.sh"
for part in manifest.json database.dump; do
  test -s "$from/$part" || { echo "$from has no $part" >&2; exit 1; }
done
# Nothing is dropped before all of the dump could be read, and while a service is signed in.
pg_restore --file=/dev/null "$from/database.dump"
busy=$(psql --quiet --tuples-only --no-align --dbname="$url" <<'SQL'
select string_agg(distinct usename, ', ') from pg_stat_activity
where datname = current_database() and usename in (select schemaname from pg_tables where tablename = 'schema_migration')
SQL
)
test -z "$busy" || { echo "services still run: $busy" >&2; exit 1; }
psql --quiet --tuples-only --set=ON_ERROR_STOP=1 --dbname="$url" <<'SQL'
select format('drop schema %I cascade', schemaname) from pg_tables where tablename = 'schema_migration' \gexec
SQL
pg_restore --single-transaction --exit-on-error --dbname="$url" "$from/database.dump"
echo "PostgreSQL is as it was in $(readlink -f "$from")"
