#!/bin/bash
# Starts OpenSearch with the variables that the official image documents: a setting of OpenSearch is
# a variable with its name, and OPENSEARCH_JAVA_OPTS come after the image's own options of Java.
# DISABLE_… are of plugins, which this image lacks (opensearch-build 4372bf71
# docker/release/config/opensearch/opensearch-docker-entrypoint-default.x.sh).
set -eu

home=$(cd "$(dirname "$0")" && pwd)
settings=()
while IFS='=' read -r -d '' name value; do
  if [[ $name =~ ^[a-z0-9_]+\.[a-z0-9_]+ && -n $value ]]; then
    settings+=("-E$name=$value")
  fi
done < <(env -0)
# Several options in one variable: they are split into words on purpose.
# shellcheck disable=SC2086
exec "$JAVA_HOME/bin/java" "@$home/config/jvm.options" ${OPENSEARCH_JAVA_OPTS:-} \
  "-Djava.io.tmpdir=$(mktemp -d)" "-Dopensearch.path.home=$home" \
  "-Dopensearch.path.conf=$home/config" -cp "$home/lib/*" \
  org.opensearch.bootstrap.OpenSearch "${settings[@]}"
