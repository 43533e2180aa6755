# Frees the network $NETWORK of containers before it is deleted, because Docker refuses to delete a
# network in use: removes $OWNER's containers, disconnects all others (for instance a registry).
set -eu

id=$(docker network ls -q --filter "label=runtime-observability.owner=$OWNER" \
  --filter "name=^$NETWORK\$")
[ -n "$id" ] || exit 0
owned=$(docker ps -aq --filter "network=$id" --filter "label=runtime-observability.owner=$OWNER")
[ -z "$owned" ] || docker rm -fv $owned >/dev/null
for container in $(docker ps -aq --filter "network=$id"); do
  docker network disconnect -f "$id" "$container"
done
