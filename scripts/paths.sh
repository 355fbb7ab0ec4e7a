# shellcheck shell=sh
# Sourced by the other scripts. Sets `root` to the repository's folder and `target` to cargo's target folder (CARGO_TARGET_DIR is honoured),
# both absolute, because the scripts change the folder.
root=$(cd "$(dirname "$0")/.." && pwd)

# Prints a path as an absolute one.
absolute() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$PWD/$1" ;;
  esac
}
target=$(absolute "${CARGO_TARGET_DIR:-$root/target}")

# use_module <profile>: exports CALLPARK_MODULE, the module to test; if it is not set, the one that cargo built with this profile.
use_module() {
  CALLPARK_MODULE=$(absolute "${CALLPARK_MODULE:-$target/$1/libmod_callpark.so}")
  export CALLPARK_MODULE
}

# skip_without_freeswitch <text>: ends the script with this text in its message if no FreeSWITCH is installed.
skip_without_freeswitch() {
  if [ -z "$("$root/scripts/find-freeswitch")" ]; then
    echo "skipped: no FreeSWITCH$1"
    exit 0
  fi
}

# on_loopback_alone <command>: becomes the command, in a network of its own that has only the loopback interface; without root, in this network. With a
# second interface a browser may send its media from that one, which FreeSWITCH 1.11 drops.
on_loopback_alone() {
  if [ "$(id -u)" = 0 ] && command -v ip >/dev/null && unshare --net true 2>/dev/null; then
    # shellcheck disable=SC2016 # the inner shell expands it
    exec unshare --net sh -c 'ip link set lo up && exec "$@"' sh "$@"
  fi
  exec "$@"
}
