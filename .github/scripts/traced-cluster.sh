#!/usr/bin/env bash
# The steps of action.yml: traced-cluster.sh up|run|assert|report|down. Every value comes from the
# environment: STACK names the stack, and each step's other variables stand in action.yml.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
reports=$RUNNER_TEMP/traced-cluster-$STACK
export RUNTIME_OBSERVABILITY_LAB=${RUNTIME_OBSERVABILITY_LAB:-0}

make_here() {
  make --silent -C "$project" PYTHON="${PYTHON:-python3}" STACK="$STACK" "$@"
}

with_tools() { # put the stack's tools and settings into this shell
  # shellcheck source=/dev/null
  source "$reports.env"
}

in_stack() { # the same for a stack that is up, with its addresses
  with_tools
  JAEGER_URL=$(cd "$project" && pulumi stack output jaegerUrl --stack "$STACK")
  OTEL_EXPORTER_OTLP_ENDPOINT=$(cd "$project" && pulumi stack output otlpHttpEndpoint --stack "$STACK")
  export JAEGER_URL OTEL_EXPORTER_OTLP_ENDPOINT
}

lines() { # the lines of a text that are not blank
  grep -v '^[[:space:]]*$' <<<"$1" || :
}

up() {
  mkdir -p "$reports"
  echo "reports=$reports" >>"$GITHUB_OUTPUT"
  {
    echo "config:"
    sed -E -e 's/^[A-Za-z]/  runtime-observability:&/' -e t -e 's/^/  /' <<<"$CONFIG"
  } >"$project/Pulumi.$STACK.yaml"
  local code=0
  make_here up || code=$?
  make_here env >"$reports.env" # also after a failure, which the reports explain
  return "$code"
}

run() {
  in_stack
  bash -euo pipefail -c "$COMMAND"
}

assert() {
  in_stack
  local options=() file failed=0
  while read -r value; do options+=(--set "$value"); done < <(lines "$VALUES")
  while read -r file; do
    ktrace assert "$file" "${options[@]}" --stack "$STACK" \
      --junit "$reports/$(basename "${file%.*}").xml" || failed=$?
  done < <(lines "$EXPECTATIONS")
  return "$failed"
}

report() { # never fails: it runs after failures, too
  [ -s "$reports.env" ] || return 0
  with_tools
  ktrace doctor --json --stack "$STACK" >"$reports/doctor.json" || :
  ktrace verify --json --stack "$STACK" >"$reports/verify.json" || :
  [ -z "$POD" ] || ktrace show "pod/${POD#*/}" --namespace "${POD%/*}" --stack "$STACK" \
    --html "$reports/pod.html" || :
}

down() {
  make_here down
}

"$1"
