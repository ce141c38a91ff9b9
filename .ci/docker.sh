#!/usr/bin/env bash
# Make a Docker daemon answer: if none does, install docker.io where it is missing and start dockerd, with its own pid file.
# Prints nothing but errors; the daemon's log is $LOG. Meant for CI machines: needs root and Debian or Ubuntu.
set -euo pipefail

RUN="${LONGCAT_DOCKER_RUN:-/run/longcat-eval}"
LOG="${LONGCAT_DOCKER_LOG:-/tmp/longcat-eval-dockerd.log}"
PYTHON="${PYTHON:-python3}"

answers() {
  "$PYTHON" - <<'PY'
import os, socket, sys
from urllib.parse import urlsplit

host = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
try:
    if host.scheme == "unix":
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(5)
        link.connect(host.path)
    else:
        link = socket.create_connection((host.hostname, host.port or 2375), timeout=5)
    link.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    sys.exit(0 if b" 200 " in link.recv(64) else 1)
except OSError:
    sys.exit(1)
PY
}

answers && exit 0
if [ -n "${DOCKER_HOST:-}" ]; then
  echo "docker.sh: DOCKER_HOST=$DOCKER_HOST does not answer" >&2
  exit 1
fi
if ! command -v dockerd >/dev/null; then
  # policy-rc.d of container images denies the start of services: the daemon is started below in any case.
  apt-get update -q >"$LOG" 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends docker.io iptables busybox-static >>"$LOG" 2>&1 || {
    echo "docker.sh: apt-get install docker.io failed; see $LOG" >&2
    exit 1
  }
  answers && exit 0
fi
mkdir -p "$RUN"
setsid dockerd --pidfile "$RUN/dockerd.pid" >>"$LOG" 2>&1 </dev/null &
for _ in $(seq 150); do
  answers && exit 0
  sleep 0.2
done
echo "docker.sh: dockerd does not answer after 30 s; see $LOG" >&2
tail -n 5 "$LOG" >&2
exit 1
