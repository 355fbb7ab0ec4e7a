#!/bin/sh
# `make run`: a private FreeSWITCH from conf/ with the module in it, on loopback and free ports, in a folder of its own.
# usage: run.sh <module .so> <FreeSWITCH prefix>
set -eu

module=$1
prefix=$2
root=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/callpark-run.XXXXXX")
freeswitch=
for bin in "$prefix/bin/freeswitch" "$prefix/sbin/freeswitch"; do
  [ -x "$bin" ] && freeswitch=$bin
done
[ -n "$freeswitch" ] || { echo "no freeswitch program under $prefix" >&2; exit 1; }
modules=
for candidate in "$prefix/mod" "$prefix/lib/freeswitch/mod" "$prefix"/lib/*/freeswitch/mod; do
  [ -f "$candidate/mod_sofia.so" ] && modules=$candidate
done
[ -n "$modules" ] || { echo "no FreeSWITCH modules under $prefix" >&2; exit 1; }

# Ports that nobody listens on, looked for upwards from a place that differs from run to run.
base=$((20000 + $$ % 20000))
taken() { cat /proc/net/tcp /proc/net/udp | grep -qi ":$(printf %04X "$1") "; }
free_port() {
  while taken "$base"; do base=$((base + 1)); done
  port=$base
  base=$((base + 1))
}
free_port; sip=$port
free_port; esl=$port
rtp=$((base + base % 2))

mkdir -p "$dir/mod" "$dir/conf" "$dir/log" "$dir/run" "$dir/db" "$dir/storage" "$dir/temp"
ln -s "$modules"/*.so "$dir/mod/"
ln -sf "$(realpath "$module")" "$dir/mod/mod_callpark.so"
sounds=$prefix/sounds
[ -d /usr/share/freeswitch/sounds ] && sounds=/usr/share/freeswitch/sounds
sed -e "s|@DIR@|$dir|g" -e "s|@CONF@|$root/conf|g" -e "s|@SIP_PORT@|$sip|g" -e "s|@ESL_PORT@|$esl|g" \
  -e "s|@RTP_FIRST@|$rtp|g" -e "s|@RTP_LAST@|$((rtp + 400))|g" -e "s|@SOUNDS@|$sounds/en/us/callie|g" \
  "$root/conf/run/freeswitch.xml" > "$dir/conf/freeswitch.xml"
cp "$root/conf/run/music.ttml" "$dir/"
cp "$modules/../conf/mime.types" "$dir/conf/" 2>/dev/null || :

"$freeswitch" -nonat -nc -nf -nort -conf "$dir/conf" -log "$dir/log" -run "$dir/run" -db "$dir/db" -mod "$dir/mod" \
  -storage "$dir/storage" -temp "$dir/temp" > "$dir/console" 2>&1 &
pid=$!
stop() {
  trap - INT TERM EXIT
  kill -TERM "$pid" 2>/dev/null || :
  wait "$pid" 2>/dev/null || :
  rm -rf "$dir"
  echo "stopped"
}
trap stop EXIT
trap 'exit 0' INT TERM

fs_cli="$(dirname "$freeswitch")/fs_cli -P $esl"
tries=0
until $fs_cli -x 'callpark version' 2>/dev/null | grep -q mod_callpark; do
  tries=$((tries + 1))
  if [ $tries -gt 60 ] || ! kill -0 "$pid" 2>/dev/null; then
    echo "FreeSWITCH did not start; its last words:" >&2
    tail -20 "$dir/console" "$dir/log/freeswitch.log" >&2
    exit 1
  fi
  sleep 0.5
done

cat <<EOF
FreeSWITCH runs with mod_callpark, on this machine only. Ctrl-C ends it.

  Phones    register 1000 (password 1000) and 1001 (password 1001)
            at 127.0.0.1:$sip, domain callpark.local
  Park      transfer a call to 700; or straight from the console:
            $fs_cli -x 'originate {origination_caller_id_name=Alice,origination_caller_id_number=5551234}loopback/700/default &park'
  Look      $fs_cli -x 'callpark list'
  Retrieve  dial 701 (721: whoever waits longest); without a phone:
            $fs_cli -x 'callpark retrieve 701 loopback/outside/default'
  Console   $fs_cli
EOF
wait "$pid"
