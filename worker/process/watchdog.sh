# Ends attempts whose deadline has passed, also when no agent lives (rule 9). Plain POSIX sh.
#
#   sh watchdog.sh <folder> <bootId>
#
# <folder>/deadlines/<attempt> holds "<bootId> <timeout> <fence> <grace> end": seconds of uptime, "-" for none; the agent
# replaces it by rename and removes it with the end. Who ends an attempt first makes <attempt>/term with O_EXCL:
# "<agent|timedOut|fenced> <uptime> end". So nobody sends TERM twice, and the end can say why. When the attempt has ended by
# itself the agent makes it ("over"): from then on its shim may serve another, and no TERM of ours can be on its way.

set -u
umask 077
folder=$1 boot=$2
cd "$folder/deadlines" || exit 0

read -r line </proc/self/stat || exit 0
me=${line%% *}
set -f
set -- ${line##*) }
mine=${20}
set +f

# One watchdog per folder: the agent removes the file of a dead one before it asks for another.
claim() {
  set -C
  exec 3>../watchdog || exit 0
  set +C
  echo "$me $mine $boot end 2" >&3
  exec 3>&-
}

# Sets pid when a shim has claimed attempt $1, and succeeds when that shim lives and the attempt has not ended: boot id and
# start time must agree before anything is signalled.
alive() {
  pid= ticks= born= group=
  while read -r who a b c d e f; do
    case $f in end) [ "$who" = "$1" ] || continue; pid=$a ticks=$b born=$c group=$d; break ;; esac
    # As earlier builds wrote it.
    case $e in end) pid=$who ticks=$a born=$b group=$c; break ;; esac
  done <"../attempts/$1/started"
  [ -n "$pid" ] && [ "$born" = "$boot" ] || return 1
  word=
  read -r word _ <"../attempts/$1/exit"
  [ -z "$word" ] || return 1
  read -r line <"/proc/$pid/stat" || return 1
  set -f
  set -- ${line##*) }
  set +f
  [ "${20}" = "$ticks" ] && [ "$3" = "$group" ] && [ "$1" != Z ] && [ "$1" != X ]
} 2>/dev/null

# KILL to whatever carries the tag, until nothing is found. Fails when something was: it is looked for again then.
kill_tagged() {
  tag=MUSTER_RESULT=$folder/attempts/$1/result
  round=0 idly=0 clean=0
  # Several times in vain: who becomes another program at the instant of a look has no environment.
  while [ "$round" -lt 20 ] && [ "$idly" -lt 3 ]; do
    round=$((round + 1)) idly=$((idly + 1))
    at=
    read -r _ _ _ _ at </proc/loadavg
    # A process whose first thread has ended is shown as a zombie, and has its environment with the others.
    threads=
    for file in $(grep -ls '^State:.Z' /proc/[0-9]*/status); do
      threads="$threads ${file%status}task/[0-9]*/environ"
    done
    # Not by its exit status: that is an error's as soon as somebody has ended meanwhile, or is another user's.
    found=$(grep -lsF -- "$tag" /proc/[0-9]*/environ $threads)
    for file in $found; do
      file=${file#/proc/}
      kill -s KILL "${file%%/*}" 2>/dev/null
    done
    if [ -n "$found" ] || kill_newborn; then idly=0 clean=1; fi
  done
  return "$clean"
}

# The same for who was born behind the number in `at`, in their order and with builtins alone: who forks and ends is gone
# before any grep comes. Fails when there was nobody.
kill_newborn() {
  [ -n "$at" ] || return 1
  hit=1 steps=0
  while [ "$steps" -lt 5000 ]; do
    last=
    # Its fifth word is the newest process id; ns_last_pid cannot be read byte by byte, as a shell does.
    read -r _ _ _ _ last </proc/loadavg
    [ -n "$last" ] && [ "$at" != "$last" ] || break
    at=$((at + 1))
    # The numbers began anew: the next grep finds who is left.
    [ "$at" -le "$last" ] || break
    text= looks=0
    # It is empty while it becomes another program; who has ended has no program.
    while [ -z "$text" ] && [ -e "/proc/$at/exe" ] && [ "$looks" -lt 100 ]; do
      while read -r line || [ -n "$line" ]; do text=$text$line; done <"/proc/$at/environ"
      looks=$((looks + 1))
    done
    steps=$((steps + 1 + looks))
    case $text in *"$tag"*) kill -s KILL "$at" && hit=0 ;; esac
  done
  return "$hit"
} 2>/dev/null

# The deadline of attempt $1 has passed: $2 says which, $3 is its grace.
pass() {
  if alive "$1"; then
    set -C
    # Not with exec: dash ends when the redirection of a special builtin fails.
    if echo "$2 $up end" >"../attempts/$1/term"; then
      set +C
      kill -s TERM -- "-$group"
      return
    fi
    set +C
    why= since=
    read -r why since _ <"../attempts/$1/term"
    # It has ended by itself meanwhile, and its shim may serve another.
    [ "$why" != over ] || return
    # An unreadable mark is a full disk's: no grace can be counted from it.
    case $since in '' | *[!0-9]*) since=0 ;; esac
    [ "$up" -ge $((since + $3)) ] || return
    # Only now, with `term` there: a shim whose attempt has that mark never serves another, whenever this KILL arrives.
    kill -s KILL -- "-$group"
  fi
  # Also when the shim is gone: what it left behind must not outlive the fence (rule 8).
  kill_tagged "$1" || return
  # Nothing more to watch, unless it may still start.
  if ! alive "$1" && [ -n "$pid" ]; then rm -f "$1"; fi
} 2>/dev/null

claim
idle=0
while :; do
  read -r up _ </proc/uptime
  up=${up%%.*}
  live=0
  for id in *; do
    [ -f "$id" ] || continue
    born= timeout= fence= grace= end=
    read -r born timeout fence grace end <"$id" 2>/dev/null
    [ "$end" = end ] && [ "$born" = "$boot" ] || continue
    live=1
    if [ "$timeout" != - ] && [ "$up" -ge "$timeout" ]; then
      pass "$id" timedOut "$grace"
    elif [ "$fence" != - ] && [ "$up" -ge "$fence" ]; then
      pass "$id" fenced "$grace"
    fi
  done
  if [ "$live" = 0 ]; then idle=$((idle + 1)); else idle=0; fi
  if [ "$idle" -ge 2 ]; then
    # The agent looks for ../watchdog after it made a deadline, we look for deadlines after we removed it: one sees the other.
    rm -f ../watchdog
    set -- *
    [ -f "$1" ] || exit 0
    claim
    idle=0
  fi
  sleep 2
done
