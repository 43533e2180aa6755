# Fails, so that the script after it removes nothing, while the cluster $CLUSTER of $OWNER is kept: the
# configuration $DIGEST in its note is still this one's. A rehearsal writes that of the next cluster into
# the note, and a destroy has removed it before: here Pulumi was told to replace a guard or a network.
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

kept=
[ ! -f "$DIRECTORY/cluster.kept" ] || read -r kept <"$DIRECTORY/cluster.kept" || :
[ "$kept" = "$DIGEST" ] || exit 0
nodes=$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER" \
  --filter "label=runtime-observability.owner=$OWNER")
network=$(docker network ls -q --filter "name=^$CLUSTER\$") # without it no node can start
if [ -n "$nodes" ] && [ -n "$network" ]; then
  echo "cluster $CLUSTER was not removed: this is no \`pulumi destroy\`, and no other cluster was seen to" \
    "start in its place. Run \`pulumi up\` without --replace and --target-replace, after" \
    "\`pulumi state untaint --all\` if a guard or the network was tainted. A resource that was renamed in" \
    "Pulumi's state is forgotten with \`pulumi state delete\`. To have the cluster anew, without its" \
    "workloads, run \`k3d cluster delete $CLUSTER\` and then \`pulumi up\`" >&2
  exit 1
fi
