# Frees the network $NETWORK before it is deleted: a container of ours that Pulumi's state does not
# know goes, a stranger's (a registry, say) is disconnected. A network with endpoints never goes.
set -eu

id=$(docker network ls -q --filter "label=runtime-observability.owner=$OWNER" \
  --filter "name=^$NETWORK\$")
[ -n "$id" ] || exit 0
ours=$(docker ps -aq --filter "network=$id" --filter "label=runtime-observability.owner=$OWNER")
[ -z "$ours" ] || docker rm -fv $ours >/dev/null
for container in $(docker ps -aq --filter "network=$id"); do
  docker network disconnect -f "$id" "$container"
done
