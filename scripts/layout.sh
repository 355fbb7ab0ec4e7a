# shellcheck shell=sh disable=SC2034 # the script that sources this file uses the variables
# Sourced by scripts/install. `find_layout <prefix>` sets where a FreeSWITCH has its files; all paths are those of the installed system, without
# DESTDIR.
#   modules    its modules
#   conf       its configuration
#   bin        its programs
#   languages  the folder of `conf` with a folder for each language: lang, or languages with FusionPBX

# Prints what FreeSWITCH's pkg-config file says, if there is one for this prefix.
from_pkg_config() {
  for file in "${DESTDIR:-}$prefix"/lib/pkgconfig/freeswitch.pc "$prefix"/lib/pkgconfig/freeswitch.pc "$prefix"/lib/*/pkgconfig/freeswitch.pc; do
    [ -f "$file" ] || continue
    # A copy of an installation has the file of the original.
    [ "$(pkg-config --variable=prefix "$file" 2>/dev/null)" = "$prefix" ] || continue
    pkg-config --variable="$1" "$file"
    return
  done
}

# first_with <file> <folder>...: prints the first folder that has this file.
first_with() {
  wanted=$1
  shift
  for folder in "$@"; do
    if [ -e "${DESTDIR:-}$folder/$wanted" ]; then
      printf '%s\n' "$folder"
      return
    fi
  done
}

# Prints the prefix of a FreeSWITCH whose folders exist and whose program is elsewhere, such as in an image that is being made.
find_folders() {
  if [ -d "${DESTDIR:-}/etc/freeswitch" ] && [ -d "${DESTDIR:-}/usr/lib/freeswitch/mod" ]; then
    echo /usr
  elif [ -d "${DESTDIR:-}/usr/local/freeswitch/conf" ] && [ -d "${DESTDIR:-}/usr/local/freeswitch/mod" ]; then
    echo /usr/local/freeswitch
  fi
}

find_layout() {
  prefix=${1%/}
  case $prefix in
    /usr) usual_conf=/etc/freeswitch usual_modules=/usr/lib/freeswitch/mod ;; # the packages for Debian, and FusionPBX
    *) usual_conf=$prefix/conf usual_modules=$prefix/mod ;;
  esac
  modules=${FREESWITCH_MODULES:-$(from_pkg_config modulesdir)}
  modules=${modules:-$(first_with mod_dptools.so "$usual_modules" "$prefix/mod" "$prefix/lib/freeswitch/mod" "$prefix"/lib/*/freeswitch/mod)}
  modules=${modules:-$usual_modules}
  conf=${FREESWITCH_CONF:-$(from_pkg_config confdir)}
  conf=${conf:-$(first_with freeswitch.xml "$usual_conf" "$prefix/conf" "$prefix/etc/freeswitch" /etc/freeswitch)}
  conf=${conf:-$usual_conf}
  bin=${FREESWITCH_BIN:-$prefix/bin}
  languages=lang
  if [ -d "${DESTDIR:-}$conf/languages" ]; then languages=languages; fi
}
