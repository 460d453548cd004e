#!/bin/bash
# COUNT critical sections by flock(1), a process each:
# flock1.sh PATH COUNT COMMAND…
echo ready
read -r _
worst=0
for ((i = 0; i < $2; i++)); do
  start=${EPOCHREALTIME/./}
  flock "$1" "${@:3}"
  wait=$((${EPOCHREALTIME/./} - start))
  waits+=("$wait")
done
mapfile -t sorted < <(printf '%s\n' "${waits[@]}" | sort -n)
# In a pipeline `times` would report on a subshell.
times >"$1.times"
cpu=$(awk '{ for (i = 1; i <= NF; i++) { split($i, t, /[ms]/)
  sum += t[1] * 60 + t[2] } } END { printf "%.1f", sum * 1000 }' "$1.times")
awk -v worst="${sorted[-1]}" -v median="${sorted[$(($2 / 2))]}" -v cpu="$cpu" \
  'BEGIN { printf "{\"worst\":%.3f,\"median\":%.3f,\"cpu\":%s}\n",
    worst / 1000, median / 1000, cpu }'
