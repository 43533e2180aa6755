# Fails, so that the script after it removes nothing, while the cluster $CLUSTER of $OWNER is kept and on its
# network $NETWORK: a destroy has removed the note before, so here Pulumi was told to replace the network.
# Where that is gone nodes need none: ensure connects them to the next one.
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

[ -f "$DIRECTORY/$NOTE" ] || exit 0
for id in $(docker network ls -q --filter "label=runtime-observability.owner=$OWNER" \
  --filter "name=^$NETWORK\$"); do
  nodes=$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER" --filter "network=$id" \
    --filter "label=runtime-observability.owner=$OWNER")
  [ -z "$nodes" ] || refuse_to_remove "$CLUSTER"
done
