"""The shell texts that make a terminal inside a sandbox. POSIX, and no program beyond what each needs."""

NOT_THERE = "-"

PREPARE = f"""
exec 2>/dev/null
base={NOT_THERE}
for d in /run /var/run /var/lib /dev/shm /var/tmp /tmp; do
  [ -d "$d" ] || continue
  b=$d/.lceval-terminals
  if mkdir -p "$b" && chmod 1777 "$b"; then base=$b; break; fi
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
mkdir -m 700 "$dir" || exit 1
unset TMUX TMUX_PANE
exec tmux -u -S "$dir/s" -f /dev/null -C start-server \\; \
  set-option -g history-limit 10000000 \\; set-option -g default-size 160x40 \\; \
  set-option -g remain-on-exit on \\; set-option -g status off \\; \
  new-session -x 160 -y 40 -- /bin/sh -c "unset TMUX TMUX_PANE; exec $shell"
"""
"""$1 is the private directory, $2 the command of the shell. The limit of the history holds for panes made
after it is set alone. With $TMUX set, an agent's own `tmux` would talk to this server and not to its
own."""

ATTACH_TMUX = """
unset TMUX TMUX_PANE
exec tmux -u -S "$1/s" -C attach-session
"""
