# Sourced: makes of the address in $SHOAL_DATABASE_URL_FILE the `url` that programs are given, and apart from it the password.
# It goes by the environment: arguments show in ps.
url=$(cat "$SHOAL_DATABASE_URL_FILE")
PGPASSWORD=$(printf '%s\n' "$url" | sed -n 's|^[a-z]*://[^:@/]*:\([^@/]*\)@.*|\1|p' | LC_ALL=C awk '{
  while (at = match($0, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
    hex = toupper(substr($0, at + 1, 2)); digits = "0123456789ABCDEF"
    text = text substr($0, 1, at - 1) sprintf("%c", 16 * index(digits, substr(hex, 1, 1)) + index(digits, substr(hex, 2)) - 17)
    $0 = substr($0, at + 3)
  }
  print text $0
}')
export PGPASSWORD
url=$(printf '%s\n' "$url" | sed 's|^\([a-z]*://[^:@/]*\):[^@/]*@|\1@|')
