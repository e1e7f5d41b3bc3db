#!/usr/bin/env bash
# The whole system on one machine: a relay, a web application behind a tunnel, visitors who check it, and
# the same again through a stock `ssh -R`.
#
#   examples/demo/demo.sh BUILD_FOLDER [--once]
#
# Everything listens on 127.0.0.1 on free ports, and all keys and files are in a folder that is removed at
# the end. With a terminal it then stays until Ctrl-C; without one, or with --once, it exits 0 when all
# checks passed, and otherwise says what failed and exits 1.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:?usage: demo.sh BUILD_FOLDER [--once]}
stay=no
if [[ -t 0 && -t 1 && ${2:-} != --once ]]; then stay=yes; fi

readonly blob_size=$((64 * 1024 * 1024))
readonly start_seconds=30     # for a program to say that it is ready
readonly transfer_seconds=120 # for one blob

program=
for candidate in "$build/src/cli/streamkit" "$build/bin/streamkit" "$build/streamkit"; do
  if [[ -x $candidate ]]; then program=$candidate; fi
done
[[ -n $program ]] || { echo "demo: there is no streamkit program in $build; ./run demo builds it" >&2; exit 1; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/streamkit-demo.XXXXXX")
children=()
checks=0

cleanup() {
  local child
  trap - EXIT INT TERM
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "$*"; }
fail() {
  printf 'demo: FAILED: %s\n' "$1" >&2
  local log
  for log in "$scratch"/*.log; do
    [[ -s $log ]] || continue
    printf -- '--- the last lines of %s\n' "$(basename "$log")" >&2
    tail -n 20 "$log" >&2
  done
  exit 1
}
passed() {
  checks=$((checks + 1))
  printf '  ok  %s\n' "$1"
}

# start NAME COMMAND...: a child whose stdout goes to NAME.out and whose stderr goes to NAME.log.
start() {
  local name=$1
  shift
  "$@" >"$scratch/$name.out" 2>"$scratch/$name.log" </dev/null &
  last_child=$!
  children+=("$last_child")
}

# wait_until WHAT CHILD COMMAND...: until the command succeeds; fails when the child ends or time is over.
wait_until() {
  local what=$1 child=$2 deadline=$((SECONDS + start_seconds))
  shift 2
  until "$@"; do
    kill -0 "$child" 2>/dev/null || fail "$what: the program ended"
    ((SECONDS < deadline)) || fail "$what: not within $start_seconds s"
    sleep 0.05
  done
}

# field FILE EVENT KEY: a value of the first JSON line with that event. Fails while there is none.
field() {
  python3 - "$@" <<'END'
import json, sys
path, event, key = sys.argv[1:]
for line in open(path, encoding="utf-8"):
    try:
        said = json.loads(line)
    except ValueError:
        continue
    if said.get("event") == event and key in said:
        value = said[key]
        print(value[0] if isinstance(value, list) else value)
        sys.exit(0)
sys.exit(1)
END
}
has_field() { field "$@" >/dev/null; }
port_of() { echo "${1##*:}"; }

visit() { curl --silent --show-error --fail --noproxy '*' --max-time "$transfer_seconds" "$@"; }
answers() { visit --output /dev/null "$1" 2>/dev/null; }

# check_site NAME URL: what a visitor and a browser would do, compared with what the application says itself.
check_site() {
  local name=$1 url=$2 seed=$RANDOM expected got rate streams
  visit "$url/" | grep -q '<h1>Guestbook</h1>' || fail "$name: $url/ is not the guestbook"
  passed "$name: the page"

  expected=$(visit "$origin/blob/sha256?size=$blob_size&seed=$seed" | json_value sha256)
  rate=$(visit --output "$scratch/blob" --write-out '%{speed_download}' "$url/blob?size=$blob_size&seed=$seed") ||
    fail "$name: the download broke off"
  got=$(sha256sum "$scratch/blob" | cut -d' ' -f1)
  [[ $got == "$expected" ]] || fail "$name: 64 MiB down arrived with SHA-256 $got, not $expected"
  passed "$name: 64 MiB down, SHA-256 equal, $((${rate%.*} / 1000000)) MB/s"

  # Once with a length, once chunked.
  got=$(visit --data-binary "@$scratch/blob" -H 'Content-Type: application/octet-stream' "$url/sha256" | json_value sha256) ||
    fail "$name: the upload broke off"
  [[ $got == "$expected" ]] || fail "$name: 64 MiB up arrived with SHA-256 $got, not $expected"
  got=$(visit -X POST -H 'Transfer-Encoding: chunked' -T "$scratch/blob" "$url/sha256" | json_value sha256) ||
    fail "$name: the chunked upload broke off"
  [[ $got == "$expected" ]] || fail "$name: 64 MiB up, chunked, arrived with SHA-256 $got, not $expected"
  passed "$name: 64 MiB up, with a length and chunked, SHA-256 equal"

  check_browser "$name" "$url"
  streams=$(python3 "$here/check_streams.py" 127.0.0.1 "$(port_of "$url")" "${url#http://}") || fail "$name: live streams"
  while read -r line; do passed "$name: $line"; done <<<"$streams"
}

# A real browser runs the page's script, which fetches the notes: without a browser this one is left out.
check_browser() {
  local name=$1 url=$2 browser
  browser=$(command -v chromium || command -v chromium-browser || true)
  if [[ -z $browser ]]; then
    [[ ${STREAMKIT_NO_SKIP:-} != 1 ]] || fail "$name: there is no Chromium, and nothing may be left out"
    printf '  --  %s: not fetched by a browser, for want of one (package chromium)\n' "$name"
    return
  fi
  timeout "$transfer_seconds" "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
    --user-data-dir="$scratch/browser-$name" --dump-dom "$url/" \
    >"$scratch/browser.html" 2>"$scratch/browser.log" || fail "$name: the browser failed"
  grep -q '<h1>Guestbook</h1>' "$scratch/browser.html" || fail "$name: the browser does not show the guestbook"
  passed "$name: the page in headless Chromium"
}
json_value() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# --- keys: one for our client, one for the stock ssh; the relay lets these two in ----------------
export XDG_CONFIG_HOME=$scratch/config
install -d -m 700 "$XDG_CONFIG_HOME" "$XDG_CONFIG_HOME/streamkit"
for key in "$XDG_CONFIG_HOME/streamkit/id_ed25519" "$scratch/ssh_key"; do
  ssh-keygen -q -t ed25519 -N '' -C demo -f "$key"
  cat "$key.pub" >>"$scratch/authorized_keys"
done
chmod 600 "$scratch/authorized_keys"

# --- the relay ------------------------------------------------------------------------------------
start relay "$program" relay --json --listen 127.0.0.1:0 --http 127.0.0.1:0 --authorized-keys "$scratch/authorized_keys"
relay=$last_child
wait_until "the relay" "$relay" has_field "$scratch/relay.out" ready listen
relay_port=$(port_of "$(field "$scratch/relay.out" ready listen)")
http_port=$(port_of "$(field "$scratch/relay.out" ready http)")

# --- the web application --------------------------------------------------------------------------
start webapp python3 "$here/webapp.py"
webapp=$last_child
wait_until "the web application" "$webapp" test -s "$scratch/webapp.out"
web_port=$(head -n 1 "$scratch/webapp.out")
origin=http://127.0.0.1:$web_port
wait_until "the web application" "$webapp" answers "$origin/"

# --- our tunnel -----------------------------------------------------------------------------------
start tunnel "$program" http "$web_port" --name demo --relay "127.0.0.1:$relay_port" --json
tunnel=$last_child
wait_until "the tunnel" "$tunnel" has_field "$scratch/tunnel.out" online url
url=$(field "$scratch/tunnel.out" online url)
url=${url%/}
say "relay        127.0.0.1:$relay_port for ssh and peers, 127.0.0.1:$http_port for visitors"
say "application  $origin"
say "public URL   $url"
say ""
check_site "tunnel" "$url"

# --- the same by a stock ssh ------------------------------------------------------------------------
ssh_url=http://web.${url#http://*.}
status=$(curl --silent --noproxy '*' --output /dev/null --write-out '%{http_code}' "$ssh_url/")
[[ $status == 404 ]] || fail "a name that nobody claimed was answered with $status, not 404"
passed "a name that nobody claimed: 404"
start ssh ssh -F none -N -p "$relay_port" -i "$scratch/ssh_key" -o IdentitiesOnly=yes -o IdentityAgent=none \
  -o BatchMode=yes -o ExitOnForwardFailure=yes -o StrictHostKeyChecking=accept-new \
  -o UserKnownHostsFile="$scratch/known_hosts" -o GlobalKnownHostsFile=/dev/null \
  -R "web:80:127.0.0.1:$web_port" 127.0.0.1
ssh=$last_child
wait_until "ssh -R" "$ssh" answers "$ssh_url/"
say "public URL   $ssh_url (by ssh -R web:80:127.0.0.1:$web_port)"
say ""
check_site "ssh -R" "$ssh_url"

say ""
say "$checks checks passed"
if [[ $stay == yes ]]; then
  say "Open $url in a browser. Ctrl-C ends the demo."
  wait "$relay" "$tunnel" "$webapp" "$ssh" || true
fi
