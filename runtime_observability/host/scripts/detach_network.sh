# Frees the network $NETWORK of containers before it is deleted, because Docker refuses to delete a
# network in use: removes $OWNER's containers, disconnects all others (for instance a registry).
set -eu

id=$(docker network ls -q --filter "label=runtime-observability.owner=$OWNER" \
  --filter "name=^$NETWORK\$")
[ -n "$id" ] || exit 0
owned=$(docker ps -aq --filter "network=$id" --filter "label=runtime-observability.owner=$OWNER")
[ -z "$owned" ] || docker rm -fv $owned >/dev/null

# One that Docker is about to start again, because it crashes, is on the network and not connected to it:
# disconnecting fails, and may be too early. What counts is that nothing is connected.
attempts=0
while :; do
  errors=
  for container in $(docker ps -aq --filter "network=$id"); do
    errors="$errors $(docker network disconnect -f "$id" "$container" 2>&1)" || :
  done
  connected=$(docker network inspect --format '{{range .Containers}}{{.Name}} {{end}}' "$id")
  [ -n "$connected" ] || break
  attempts=$((attempts + 1))
  if [ "$attempts" -gt 20 ]; then
    echo "network $NETWORK: could not disconnect: $connected($errors). $AGAIN" >&2
    exit 1
  fi
  sleep 1
done
