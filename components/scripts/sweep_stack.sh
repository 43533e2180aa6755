# Removes whatever $OWNER still has in Docker and its folder, and proves that nothing is left.
# Stored in Pulumi's state and run from there: it needs docker and rm, and no checkout.
set -eu

owned="label=runtime-observability.owner=$OWNER"
quiet=0 rounds=0
while :; do
  containers=$(docker ps -aq --filter "$owned")
  networks=$(docker network ls -q --filter "$owned")
  volumes=$(docker volume ls -q --filter "$owned")
  if [ -z "$containers$networks$volumes" ]; then
    quiet=$((quiet + 1))
    [ "$quiet" -lt 2 ] || break
  else
    quiet=0 rounds=$((rounds + 1))
    if [ "$rounds" -gt 20 ]; then
      echo "stack $STACK: these stay:" $containers $networks $volumes >&2
      exit 1
    fi
    [ -z "$containers" ] || docker rm -fv $containers >/dev/null 2>&1 || :
    for network in $networks; do
      for container in $(docker ps -aq --filter "network=$network"); do
        docker network disconnect -f "$network" "$container" || :
      done
      docker network rm "$network" >/dev/null 2>&1 || :
    done
    [ -z "$volumes" ] || docker volume rm -f $volumes >/dev/null 2>&1 || :
  fi
  sleep 1
done
rm -rf "${DIRECTORY:?}"
if [ -e "$DIRECTORY" ]; then
  echo "stack $STACK: $DIRECTORY cannot be removed" >&2
  exit 1
fi
