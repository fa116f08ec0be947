# Starts attempts for the agent, and outlives it. Plain POSIX sh: checked with dash, bash and busybox.
#
#   sh launcher.sh launch <folder> <bootId> <how> <shell>   reads one order a line on standard input, until its end
#   sh launcher.sh shim   <folder> <bootId> <fifo>          only used where <how> is not "groups"
#
# <how>: "groups"   this shell has job control without a terminal, so every background child gets its own process group
#        otherwise  the command that starts a child in its own session, such as "setsid"
# <shell>           which shell the shims run in, where they are not forks of this one
#
# Orders:
#   .shim <fifo>  start a shim that reads the ids of its attempts from this fifo
#   .sweep        forget the children that have ended
#   .watchdog     start the watchdog, unless one runs

set -u
# The records are the agent's own; the program's umask is set where it is started.
umask 077
here=$0 mode=$1 folder=$2 boot=$3 how=$4 shell=${5-sh}
bell=$folder/doorbell

# A full disk must not stop an attempt: the bell is a hint, the agent's poll is the truth.
ring() { echo "$id" >>"$bell"; } 2>/dev/null

# Rule 24: in place, over the blanks, in one write; `>` would first give the room back. A shim that cannot write it leaves:
# an idle one beside a blank record would look as if the program still ran.
record() { echo "$id $1 end" 1<>"$folder/attempts/$id/exit" || exit 0; }

# Called in the subshell of an attempt whose program could not be executed at all: the agent must tell that from a program
# that exits 126 or 127. dash and busybox come here also when exec fails. bash ends at once then, with a line in the error
# output that begins with the name of the file it read (./launch); the agent knows it by that.
norun() {
  trap - 0
  record "$1 norun"
  exit 126
}

# A shell that cannot fork ends where it stands. The program did not run then, and its attempt is told so; the shell's own words
# are in its error output. (A bash that is a fork of the launcher ends without this trap; then nobody knows, and it is lost.)
unforked() {
  [ -n "$serving" ] || return
  record "126 norun"
  ring
}

# Serves attempts one after the other, each from its claim in `started` to its `exit`, until the fifo ends: its only writer
# is the agent. Builtins only: the program is the one thing that is forked and executed. The agent gives the next attempt
# when nothing is left of the last one, so the process group is one attempt's at a time.
shim() {
  # A fifo of an agent that is gone.
  [ -p "$1" ] || exit 0
  # For both first: an open to read alone waits for a writer, and the agent may have died meanwhile.
  exec 3<>"$1" <"$1" 3>&-
  # /proc/self is whoever opens it; $$ would be the launcher. The name in brackets may hold anything, so cut behind it.
  read -r line </proc/self/stat || exit 0
  pid=${line%% *}
  set -f
  set -- ${line##*) }
  # pid, start time (field 22 of the line), boot id, process group, session
  me="$pid ${20} $boot $3 $4 end"
  # A signal to the group reaches the shim too, which has to see the end. Caught, not ignored: what is ignored stays so
  # in the program. By number: shells differ in the names they know. Every signal that a process can catch. The agent
  # sends none before the program is there: between fork and exec a shell loses what it catches.
  trap : 1 2 3 4 5 6 7 8 10 11 12 13 14 15 16 24 25 26 27 29 30 31 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 \
    54 55 56 57 58 59 60 61 62 63 64
  serving=
  trap unforked 0
  # Nothing of ours in the program's environment; the launch file sets it anew.
  unset PATH LC_ALL
  while read -r id; do serve; done
  exit 0
}

serve() {
  cd "$folder/attempts/$id" || return
  # Rule 23: whose line of this attempt is the first in `started` decides whether it runs; see decision 011.
  # Who cannot write his line says nothing, for another shim may have written one; the agent calls the attempt off in the end.
  echo "$id $me" >>started || exit 0
  first=
  while read -r who claim; do
    case $who in "$id") first=$claim; break ;; esac
  done <started
  case $first in "$me") ;; *) return ;; esac
  # `no` when the file is not this attempt's (any more); empty when the program was not started; `sub` when a subshell tried.
  ran=no code=126
  if [ -f launch ]; then
    ran=
    # In the foreground: a background child of a shell without job control ignores INT and QUIT for ever.
    serving=$id
    . ./launch
    code=$?
    serving=
  fi
  umask 077
  cd "$folder" || exit 0
  case $ran in
    # It leaves: an idle shim beside a blank record would look as if the program still ran.
    no) exit 0 ;;
    '') record "$code norun" ;;
    sub)
      word=
      if [ "$code" != 0 ]; then read -r _ _ word _ <"$folder/attempts/$id/exit"; fi
      case $word in norun) ;; *) record "$code" ;; esac ;;
    *) record "$code" ;;
  esac
  ring
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

while read -r order what; do
  case $order in
    # Without it a shell keeps a line for every child it ever had.
    .sweep) jobs >/dev/null ;;
    .watchdog)
      case $how in
        groups) sh "${here%/*}/watchdog.sh" "$folder" "$boot" </dev/null >/dev/null 2>&1 & ;;
        *) $how sh "${here%/*}/watchdog.sh" "$folder" "$boot" </dev/null >/dev/null 2>&1 & ;;
      esac ;;
    .shim)
      case $how in
        groups) shim "$what" </dev/null >/dev/null 2>&1 & ;;
        *) $how "$shell" "$here" shim "$folder" "$boot" "$what" </dev/null >/dev/null 2>&1 & ;;
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
