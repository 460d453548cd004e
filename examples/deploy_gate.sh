#!/bin/sh
# One deployment at a time, each in its turn:
#
#   deploy_gate.sh /srv/site/deploy.lock ./deploy.sh v1.2.3
#
# Refuses to start where the lock would mean nothing, such as on a network
# filesystem. Waits for at most five minutes (DEPLOY_WAIT), saying for whom.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: deploy_gate.sh LOCKFILE COMMAND [ARG…]" >&2
  exit 64
fi
lock=$1
shift
if ! report=$(holdfast doctor "$lock"); then
  printf '%s\n' "$report" >&2
  exit 69
fi
exec holdfast run --report -w "${DEPLOY_WAIT:-5m}" --kill-after 30s \
  "$lock" -- "$@"
