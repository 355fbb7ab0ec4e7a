# shellcheck shell=sh disable=SC2154 # paths.sh and the script that sources this file set the variables
# Sourced by scripts/deb and scripts/release with `arch`, an architecture as Debian names it. Builds the module and the doctor for it, and sets MODULE,
# DOCTOR and OBJCOPY. If MODULE and DOCTOR are set, nothing is built.
OBJCOPY=${OBJCOPY:-objcopy}
cargo_target=
if [ "$arch" != "$(dpkg --print-architecture 2>/dev/null || echo "$arch")" ]; then
  case $arch in
    amd64) cpu=x86_64 ;;
    arm64) cpu=aarch64 ;;
    *) echo "architecture $arch is not known: amd64 or arm64 is expected" >&2; exit 1 ;;
  esac
  cargo_target=$cpu-unknown-linux-gnu
  linker=$cpu-linux-gnu-gcc
  OBJCOPY=$cpu-linux-gnu-objcopy
  command -v "$linker" >/dev/null || { echo "missing: $linker; apt-get install gcc-$(echo $cpu | tr _ -)-linux-gnu" >&2; exit 1; }
  export "CARGO_TARGET_$(echo "$cargo_target" | tr a-z- A-Z_)_LINKER=$linker"
fi
if [ -z "${MODULE:-}" ] || [ -z "${DOCTOR:-}" ]; then
  FREESWITCH_INCLUDE_DIR=${FREESWITCH_INCLUDE_DIR:-$root/freeswitch-headers} \
    cargo build --release --locked --manifest-path "$root/Cargo.toml" ${cargo_target:+--target "$cargo_target"}
  MODULE=$target/${cargo_target:+$cargo_target/}release/libmod_callpark.so
  DOCTOR=$target/${cargo_target:+$cargo_target/}release/callpark-doctor
fi
export OBJCOPY
