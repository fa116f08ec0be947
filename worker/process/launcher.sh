# Starts attempts for the agent, and outlives it. Plain POSIX sh: checked with dash, bash and busybox.
#
#   sh launcher.sh launch <folder> <bootId> <how>    reads one line per launch on standard input, until its end
#   sh launcher.sh shim   <folder> <bootId> <id>     one attempt; only used where <how> is not "groups"
#
# <how>: "groups"   this shell has job control without a terminal, so every background child gets its own process group
#        otherwise  the command that starts a child in its own session, such as "setsid"
#
# A line is an attempt's id, or one of the words below; no id holds a dot.
#   .sweep      forget the children that have ended
#   .watchdog   start the watchdog, unless one runs

set -u
# The records are the agent's own; the program's umask is set where it is started.
umask 077
here=$0 mode=$1 folder=$2 boot=$3 how=$4
bell=$folder/doorbell

# A full disk must not stop an attempt: the bell is a hint, the agent's poll is the truth.
ring() { echo "$id" >>"$bell"; } 2>/dev/null

# Called where the program could not be executed at all: the agent must tell that from a program that exits 126 or 127.
# dash and busybox come here also when exec fails. bash ends at once then, with a line in the error output that begins
# with the name of the file it read (./launch); the agent knows it by that.
norun() {
  trap - 0
  echo "$id $1 norun end" 1<>"$folder/attempts/$id/exit"
  exit 126
}

# One attempt, from `started` to `exit`. Builtins only: the program is the one thing that is forked and executed.
shim() {
  id=$1
  cd "$folder/attempts/$id" || exit 0
  # /proc/self is whoever opens it; $$ would be the launcher. The name in brackets may hold anything, so cut behind it.
  read -r line </proc/self/stat || exit 0
  pid=${line%% *}
  set -f
  set -- ${line##*) }
  # A signal to the group reaches the shim too, which has to see the end. Caught, not ignored: what is ignored stays so
  # in the program. By number: shells differ in the names they know. Every signal that a process can catch. The agent
  # sends none before the program is there: between fork and exec a shell loses what it catches.
  trap : 1 2 3 4 5 6 7 8 10 11 12 13 14 15 16 24 25 26 27 29 30 31
  # Rule 23: whoever makes `started` decides whether it runs. noclobber is O_EXCL.
  set -C
  exec 3>started || exit 0
  set +C
  # pid, start time (field 22 of the line), boot id, process group, session
  if ! echo "$pid ${20} $boot $3 $4 end" >&3; then
    echo "$id 0 noroom end" 1<>exit
    ring
    exit 0
  fi
  exec 3>&-
  ring
  # In the foreground: a background child of a shell without job control ignores INT and QUIT for ever.
  (
    trap 'norun $?' 0
    . ./launch
    norun $?
  )
  code=$?
  if [ "$code" != 0 ]; then
    read -r _ _ word _ <exit
    case ${word-} in norun) ring; exit 0 ;; esac
  fi
  # Rule 24: in place, over the blanks, in one write; `>` would first give the room back.
  echo "$id $code end" 1<>exit
  ring
  exit 0
}

if [ "$mode" = shim ]; then
  shim "$4"
fi

# What the agent inherited without meaning to must not reach every program. dash can name only one digit, and keeps its own
# file, like bash, higher up.
for fd in /proc/self/fd/*; do
  fd=${fd##*/}
  case $fd in
    [3-9]) eval "exec $fd>&-" ;;
    [1-9]*) if [ -n "${BASH_VERSION-}" ] && ! [ "/proc/self/fd/$fd" -ef "$here" ]; then eval "exec $fd>&-"; fi ;;
  esac
done

case $how in groups) set -m ;; esac

while read -r id; do
  case $id in
    # Without it a shell keeps a line for every child it ever had.
    .sweep) jobs >/dev/null ;;
    .watchdog)
      case $how in
        groups) sh "${here%/*}/watchdog.sh" "$folder" "$boot" </dev/null >/dev/null 2>&1 & ;;
        *) $how sh "${here%/*}/watchdog.sh" "$folder" "$boot" </dev/null >/dev/null 2>&1 & ;;
      esac ;;
    *)
      case $how in
        groups) shim "$id" </dev/null >/dev/null 2>&1 & ;;
        *) $how sh "$here" shim "$folder" "$boot" "$id" </dev/null >/dev/null 2>&1 & ;;
      esac ;;
  esac
done

# The agent is gone. Stay while children live: their parent reaps them, also where process 1 does not; and with the last
# process of its session gone, the kernel would hang up on every attempt that is stopped just now (SIGSTOP).
exec </dev/null
while :; do
  wait
  # The first listing forgets those that have ended.
  jobs >/dev/null
  jobs >"$folder/launcher.left" 2>/dev/null || exit 0
  [ -s "$folder/launcher.left" ] || exit 0
  sleep 5
done
