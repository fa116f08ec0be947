# The demo's task: counts words for a while, says how far it is, and leaves a result.
set -eu
lines=$PARAM_lines
count=0
while [ "$count" -lt "$lines" ]; do
  count=$((count + 1))
  echo "line $count of $lines, counted on $(hostname)"
  echo "$((100 * count / lines)) counting" > "$MUSTER_PROGRESS"
  sleep 0.3
done
words=$((lines * 5))
echo "{\"lines\": $lines, \"words\": $words}" > "$MUSTER_RESULT"
