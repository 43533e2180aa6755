# Fails, so that the script after it removes nothing, while the cluster $CLUSTER of $OWNER is kept: the
# configuration $DIGEST in its note is still this one's. A rehearsal writes that of the next cluster into
# the note, and a destroy has removed it before: here Pulumi was told to replace a guard.
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

kept=
[ ! -f "$DIRECTORY/cluster.kept" ] || read -r kept <"$DIRECTORY/cluster.kept" || :
[ "$kept" = "$DIGEST" ] || exit 0
nodes=$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER" \
  --filter "label=runtime-observability.owner=$OWNER")
[ -z "$nodes" ] || refuse_to_remove "$CLUSTER"
