#!/usr/bin/env bash
# Opens the issue about failing nightly runs, or adds a comment to the one that is open. The
# variables RUN_URL, CONFIG (the releases that were tried), GH_REPO and GH_TOKEN must be set.
set -euo pipefail
label=nightly
text="The nightly run failed: $RUN_URL

It tried these releases (none: the defaults):

\`\`\`
${CONFIG:-}
\`\`\`"

open=$(gh issue list --label "$label" --state open --limit 1 --json number --jq '.[].number')
if [ -n "$open" ]; then
  exec gh issue comment "$open" --body-file - <<<"$text"
fi
gh label create "$label" --description "The nightly run fails" --force
exec gh issue create --label "$label" --title "The newest releases do not work" --body-file - <<<"$text"
