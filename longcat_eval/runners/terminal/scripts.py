"""The shell texts that make a terminal inside a sandbox. POSIX, and no program beyond what each needs."""

NOT_THERE = "-"

PREPARE = f"""
exec 2>/dev/null
umask 0
base={NOT_THERE}
for d in /run /var/run /var/lib /dev/shm /var/tmp /tmp; do
  [ -d "$d" ] || continue
  b=$d/.lceval-terminals
  if mkdir -p -m 1777 "$b"; then base=$b; break; fi
done
bash=$(command -v bash) || bash={NOT_THERE}
version={NOT_THERE}
if command -v tmux >/dev/null; then version=$(tmux -V); fi
echo "$base $bash $version"
"""
"""Run as root: makes a place for private directories, where `rm -rf /tmp/*` does not reach if that can be
had, and says what there is: `<place> <bash> <tmux -V>`. The daemon's archives are no way to put anything
there: they do not see a tmpfs."""

START_TMUX = """
dir=$1 shell=$2
shift 2
mkdir -m 700 "$dir" || exit 1
unset TMUX TMUX_PANE
exec tmux -u -S "$dir/s" -f /dev/null -C start-server \\; \
  set-option -g history-limit 10000000 \\; set-option -g default-size 160x40 \\; \
  set-option -g remain-on-exit on \\; set-option -g status off \\; \
  new-session -d -x 160 -y 40 -- /bin/sh -c "unset TMUX TMUX_PANE; $shell; exit" \\; \
  resize-window -x 160 -y 40 \\; attach-session "$@"
"""
"""$1 is the private directory, $2 the command of the shell, the rest options of the client. The limit of the
history holds for panes made after it is set alone. With $TMUX set, an own `tmux` would talk to this
server and not to its own. The size is fixed once there is a window: 3.4 dies of that before, and 3.2 takes
the client's. The shell has a parent of its own because tmux lets no child of its stay
stopped."""

ATTACH_TMUX = """
dir=$1
shift
unset TMUX TMUX_PANE
exec tmux -u -S "$dir/s" -C attach-session "$@"
"""

WATCH_VARIABLE = "LCEVAL_WATCH"
WATCH_END = "="

WATCH = f"""
unset {WATCH_VARIABLE}
exec 2>/dev/null
tty=$1
stat() {{
  s=; l=
  while IFS= read -r l || [ -n "$l" ]; do s="$s$l "; l=; done <"/proc/$1/stat"
  [ -n "$s" ]
}}
newline='
'
tab='\t'
arguments() {{
  a=
  if [ -z "$BASH_VERSION" ]; then a=$(tr '\\000\\n\\t' '   ' <"$1"); return; fi
  while IFS= read -r -d '' x; do
    case $x in *"$newline"*|*"$tab"*) x=text;; esac
    a="$a$x "
  done <"$1"
}}
table() {{
  for d in /proc/[0-9]*; do
    stat "${{d#/proc/}}" || continue
    a=
    case $s in *sh\\)*|*busybox\\)*) arguments "$d/cmdline";; esac
    printf '%s\\t%s\\n' "$s" "$a"
  done
}}
look() {{
  c=; while read -r k v; do [ "$k" = rchar: ] && c=$v; done <"/proc/$1/io"
  stat "$1"
  n=; while read -r k v _; do [ "$k" = voluntary_ctxt_switches: ] && n=$v; done <"/proc/$1/status"
  w=; read -r w <"/proc/$1/wchan" || :
  case " $(stty -F "$tty" -a) " in *" -icanon "*) m=raw;; *" icanon "*) m=lines;; *) m=;; esac
  t=; if [ -n "$BASH_VERSION" ]; then t=no; read -t 0 <"$tty" && t=yes; fi
  printf '%s\\n%s\\n%s\\n%s\\n%s\\n%s\\n' "$s" "$n" "$w" "$m" "$t" "$c"
}}
drain() {{
  m=$(stty -F "$tty" -g) || return
  stty -F "$tty" -icanon -echo min 0 time 2 && cat <"$tty" >/dev/null
  stty -F "$tty" "$m"
}}
mark() {{ printf '\033]2;%s\033\\' "$1" >"$tty"; }}
signal() {{ s=$1; shift; for p; do kill -"$s" "$p"; done; }}
while read -r id what rest; do
  case $what in table|look|drain|mark|signal) $what $rest;; esac
  echo "{WATCH_END}$id"
done
"""
"""Answers lines of `ID WHAT ARGUMENTS` with lines and a last one of `=ID`; $1 is the terminal. It comes in a
variable, which it drops, so as not to fill an agent's `ps`; forks as little as it can, for a sandbox that
has no process ids left; and runs as the terminal's user: root may not look into another user's processes.

`look PID` gives its stat line, voluntary context switches, what it waits in, the terminal's mode, whether
input waits there unread (bash alone can tell), and how much it had read before all of this was so. Files are
read to their end: what bash has buffered of one whose process dies would be read as the next one's. `drain`
reads away what was typed until nothing has come for 0.2 s, and because signal characters go on to be
signals, so do those behind it in the queue. `mark` prints a title behind all that was printed so far."""

START_PTY = """
stty rows 40 cols 160 2>/dev/null
read -r stat </proc/$$/stat
echo "$stat"
exec $1
"""
"""$1 is the command of the shell, which begins by a line of /proc: its process id, and its terminal's
number."""
