#!/bin/sh
# Runs a command unless it is still running from the last time:
#
#   */5 * * * *  cron_overlap.sh /var/lock/backup.lock backup --all
#
# A run that is skipped says nothing and exits with 0, so that cron sends no
# mail. What the command returns is passed on.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: cron_overlap.sh LOCKFILE COMMAND [ARG…]" >&2
  exit 64
fi
lock=$1
shift
exec holdfast run -qn -E 0 "$lock" -- "$@"
