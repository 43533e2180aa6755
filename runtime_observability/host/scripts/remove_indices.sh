# Deletes what stack $STACK has in $STORE at $URLS: the indices and templates of $PREFIX, unless they
# are to be kept ($KEEP is not empty), or a stack of the same name and folder has used them last from
# another Docker daemon, as the mark there tells (prefix_mark.py). A cluster that cannot be asked is
# told and does not stop the destroy. stdin has curl's options with the login, then a line with --, then
# the certificates as an archive for %b of printf.
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

[ -z "$KEEP" ] || exit 0
given=$(cat)
end='
--'
options=${given%%"$end"*}
certificates=${given#*"$end"}
certificates=${certificates#?} # the line's end

# The output of curl with the configuration on stdin, in a container on the stack's network; past the proxy
# that the docker command's settings give it, and with the image as it is there.
run_curl() {
  container=$(DOCKER_DEFAULT_PLATFORM='' DOCKER_CONTENT_TRUST='' \
    docker create --rm --interactive --log-driver=none --network="$NETWORK" \
    --label="runtime-observability.owner=$OWNER" --cap-drop=ALL --security-opt=no-new-privileges \
    --user=10001 "$IMAGE" --noproxy '*' --config -) || return 1
  [ -z "$certificates" ] || printf '%b' "$certificates" | docker cp - "$container:/" >&2
  docker start --attach --interactive "$container" || :
}

# Requests of method $1 for the paths $3… at $2, one after the other. No "next" is the last line: curl
# would complain on stderr that there is no URL, in the middle of a line of its output.
requests() {
  method=$1 url=$2 next=
  shift 2
  for path; do
    printf '%s%s\nrequest = "%s"\nurl = "%s%s"\n' "$next" "$options" "$method" "$url" "$path"
    next='next
'
  done
}

# The status of each answer, as the options have curl write it.
statuses() { sed -n 's/^runtime-observability-answer \([0-9]*\) .*/\1/p'; }

left="indices and templates $PREFIX-jaeger-* of $STORE at $URLS"
reason="docker cannot run $IMAGE"
cure="\`pulumi up\` and \`pulumi destroy\` remove them"
once="$cure once it answers"
for url in $URLS; do
  listed=$(requests GET "$url" "/_cat/indices/$PREFIX-jaeger-*?h=index" | run_curl 2>&1) || :
  status=$(printf '%s\n' "$listed" | statuses)
  told=$(printf '%s\n' "$listed" | tail -n 1)
  case $told in
    "runtime-observability-answer 000 "*) reason="$url: ${told#*answer 000 * }" ;;
    "runtime-observability-answer 401 "*)
      reason="$url answers 401" once="with today's traceStoreUser and traceStorePassword $cure"
      ;;
    "runtime-observability-answer "*) reason="$url answers $status" ;;
    *) reason="$url: $told" ;;
  esac
  [ "$status" = 200 ] || continue
  used_by=$(requests GET "$url" "/_index_template/$PREFIX-jaeger-mark" | run_curl 2>&1 |
    sed -n 's/.*"docker" *: *"\([^"]*\)".*/\1/p') || :
  if [ -n "$used_by" ] && [ "$used_by" != "$(docker info --format '{{.ID}}')" ]; then
    echo "stack $STACK: $left were NOT deleted, because a stack of this name and folder has used them" \
      "last from another Docker daemon, $used_by: where that is gone, $cure" >&2
    exit 0
  fi
  set -- "/_template/$PREFIX-jaeger-*" "/_index_template/$PREFIX-jaeger-*"
  for index in $listed; do
    case $index in
      "$PREFIX"-jaeger-*) set -- "$@" "/$index" ;;
    esac
  done
  failed=$(requests DELETE "$url" "$@" | run_curl 2>&1 | statuses | grep -vx -e 200 -e 404) || :
  if [ -z "$failed" ]; then
    exit 0
  fi
  reason="$url answers" && for status in $failed; do reason="$reason $status"; done
  break
done
echo "stack $STACK: $left were NOT deleted ($reason): $once" >&2
