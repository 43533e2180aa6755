# Fails, so that the script after it removes nothing, while the cluster $CLUSTER of $OWNER is kept and on the
# network of the id $NETWORK: a destroy has removed the note before, so here Pulumi was told to replace it.
# Where that is gone nodes need none: ensure connects them to the next one of its name, and may have done so
# before this runs.
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

[ -f "$DIRECTORY/$NOTE" ] || exit 0
found=$(docker network ls -q --filter "id=$NETWORK")
[ -n "$found" ] || exit 0 # docker ps finds stopped nodes that were on it
nodes=$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER" --filter "network=$NETWORK" \
  --filter "label=runtime-observability.owner=$OWNER")
[ -z "$nodes" ] || refuse_to_remove "$CLUSTER"
