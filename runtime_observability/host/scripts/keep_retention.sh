# Deletes the daily indices of $PREFIX whose last span is $DAYS days old, in the search engine at $URLS:
# now and every hour, after a failure every five minutes, until a SIGTERM. An index has the spans that
# began on its day in UTC. $OPTIONS is a file of curl's options. Each time logs one line; one that begins
# with "not kept: " has the reason why an old index may be left (core/retention.py).
# It runs in the image of curl, whose sh is BusyBox's, and of which it needs sed, date, cat and sleep.
set -uf
trap 'kill $! 2>/dev/null; exit 0' TERM

# The answer to a request of method $1 for the path $3 at $2, with what $OPTIONS have curl write after it.
ask() {
  { cat "$OPTIONS" && printf 'request = "%s"\nurl = "%s"\n' "$1" "$2$3"; } | curl --config - 2>&1
}

# Why the answer on stdin to such a request is no success; nothing if it is one.
fault() {
  outcome=$(sed -n 's/^runtime-observability-answer //p')
  case "$1 $outcome" in
    "GET 200 0 "* | "DELETE 200 0 "* | "DELETE 404 0 "*) ;;
    "$1 ") echo "curl does not run" ;;
    "$1 "???" 0 "*) echo "$2 answers ${outcome%% *} to $1 $3" ;;
    *) echo "$2: ${outcome#* * }" ;;
  esac
}

# The indices on stdin that are too old. A date that no calendar has is none.
too_old() {
  first=$(($(date +%s) / 86400 * 86400 - DAYS * 86400))
  day='\([0-9]\{4\}-[0-9]\{2\}-[0-9]\{2\}\)'
  sed -n "s/^\($PREFIX-jaeger-[a-z]\{1,\}-$day\) *\$/\1 \2/p" | while read -r index day; do
    read -r seconds same <<END
$(date -u -d "$day" '+%s %Y-%m-%d' 2>/dev/null)
END
    [ "$same" != "$day" ] || [ "$seconds" -ge "$first" ] || echo "$index"
  done
}

keep() {
  indices="/_cat/indices/$PREFIX-jaeger-*?h=index"
  faults=
  for url in $URLS; do
    listed=$(ask GET "$url" "$indices")
    fault=$(printf '%s\n' "$listed" | fault GET "$url" "$indices")
    if [ -n "$fault" ]; then
      faults="$faults${faults:+; }$fault"
      continue
    fi
    deleted=
    for index in $(printf '%s\n' "$listed" | too_old); do
      fault=$(ask DELETE "$url" "/$index" | fault DELETE "$url" "/$index")
      if [ -n "$fault" ]; then
        echo "not kept: $fault${deleted:+, after it deleted$deleted}"
        return 1
      fi
      deleted="$deleted $index"
    done
    [ -z "$deleted" ] || deleted="deleted$deleted"
    echo "kept: ${deleted:-nothing is older than $DAYS days}"
    return
  done
  echo "not kept: $faults"
  return 1
}

while :; do
  keep &
  if wait $!; then pause=3600; else pause=300; fi
  sleep "$pause" &
  wait $!
done
