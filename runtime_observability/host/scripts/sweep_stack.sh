# Removes whatever $OWNER still has in Docker and its folder, and proves that nothing is left.
# Stored in Pulumi's state and run from there: it needs docker and rm, and no checkout.
set -eu

owned="label=runtime-observability.owner=$OWNER"
quiet=0 rounds=0 said=
while :; do
  containers=$(docker ps -a --filter "$owned" --format '{{.Names}}')
  networks=$(docker network ls -q --filter "$owned") # two networks may share a name
  volumes=$(docker volume ls -q --filter "$owned")
  if [ -z "$containers$networks$volumes" ]; then
    quiet=$((quiet + 1))
    [ "$quiet" -lt 2 ] || break
  else
    quiet=0 rounds=$((rounds + 1))
    if [ "$rounds" -gt 20 ]; then
      networks=$(docker network ls --filter "$owned" --format '{{.Name}}')
      echo "stack $STACK: these stay:" $containers $networks $volumes "($said)" >&2
      exit 1
    fi
    said=
    [ -z "$containers" ] || said=$(docker rm -fv $containers 2>&1 >/dev/null) || :
    for network in $networks; do
      for container in $(docker ps -aq --filter "network=$network"); do
        docker network disconnect -f "$network" "$container" || :
      done
      said="$said $(docker network rm "$network" 2>&1 >/dev/null)" || :
    done
    [ -z "$volumes" ] || said="$said $(docker volume rm -f $volumes 2>&1 >/dev/null)" || :
  fi
  sleep 1
done
rm -rf "${DIRECTORY:?}"
if [ -e "$DIRECTORY" ]; then
  echo "stack $STACK: $DIRECTORY cannot be removed" >&2
  exit 1
fi
