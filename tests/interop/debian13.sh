#!/usr/bin/env bash
# The matrix in a Debian 13 that lives in a folder: OpenSSL 3.5 has ML-KEM, so we have our hybrid key exchange there, and
# OpenSSH 10 speaks it. Makes the folder by debootstrap where it is missing, lets ./run install what the matrix needs in
# it, builds interop_test there, and runs it. It must have agreed on mlkem768x25519-sha256 in both roles.
#
# usage: debian13.sh [--json] [WORD...]     as interop.py; without words OpenSSH's rows only
#        debian13.sh --prepare              makes the folder, and stops there
#
# The folder is ${XDG_CACHE_HOME:-~/.cache}/streamkit/trixie; take it away to have a new one. What runs in it has processes
# and mounts of its own, and a policy that starts no daemon. Exits 3 and says why where such a folder cannot be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly suite=trixie build=build/debian13 exit_missing=3
readonly tree=${XDG_CACHE_HOME:-$HOME/.cache}/streamkit/$suite

cannot() {
  printf 'Debian 13 is skipped: %s\n' "$1" >&2
  exit "$exit_missing"
}

# inside COMMAND...: in the folder, at this source tree, as the first process of its own.
inside() {
  mkdir -p "$tree$PWD"
  # shellcheck disable=SC2016  # its own $1
  unshare --mount --pid --fork --kill-child --mount-proc="$tree/proc" -- bash -euc '
    tree=$1
    shift
    mount --rbind /dev "$tree/dev"
    mount --bind "$PWD" "$tree$PWD"
    exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
      STREAMKIT_JOBS="${STREAMKIT_JOBS:-}" STREAMKIT_INTEROP_MIB="${STREAMKIT_INTEROP_MIB:-}" \
      /bin/sh -euc "cd \"\$0\" && exec \"\$@\"" "$PWD" "$@"' inside "$tree" "$@"
}

mirror() { apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m1 '/debian/$' || echo http://deb.debian.org/debian/; }

# A folder is whole when it has its own name: until then it is called otherwise.
make_tree() {
  [[ ! -e $tree ]] || return 0
  [[ ${STREAMKIT_NO_INSTALL:-} != 1 ]] || cannot "there is no $tree, and STREAMKIT_NO_INSTALL is set"
  local making=$tree.making log=${tree%/*}/$suite.log
  rm -rf --one-file-system "$making"
  mkdir -p "$making"
  printf '\n== debootstrap %s into %s\n' "$suite" "$tree" >&2
  debootstrap --variant=minbase "$suite" "$making" "$(mirror)" >"$log" 2>&1 ||
    cannot "debootstrap failed: $(tail -n 1 "$log") ($log)"
  printf '#!/bin/sh\nexit 101\n' >"$making/usr/sbin/policy-rc.d"
  chmod 755 "$making/usr/sbin/policy-rc.d"
  mv "$making" "$tree"
}

prepare() {
  [[ $(id -u) == 0 ]] || cannot "only root can change into a folder (chroot)"
  command -v debootstrap >/dev/null || cannot "no debootstrap here: ./run ensure interop"
  unshare --mount --pid --fork true 2>/dev/null || cannot "mounts of one's own are not allowed here (unshare)"
  make_tree
  inside env STREAMKIT_NO_INSTALL="${STREAMKIT_NO_INSTALL:-}" ./run ensure interop || cannot "its packages could not be installed"
}

main() {
  local -a words=("$@")
  prepare
  [[ ${words[*]} != --prepare ]] || exit 0
  [[ -n ${words[*]} && ${words[*]} != --json ]] || words+=(--must-pass mlkem768x25519-sha256 OpenSsh)
  inside cmake --preset test -B "$build" >/dev/null
  inside cmake --build "$build" -j "${STREAMKIT_JOBS:-$(nproc)}" --target interop_test >&2
  printf '\n== Debian 13: %s\n' "$(inside ssh -V 2>&1)" >&2
  inside python3 tests/interop/interop.py --build "$build" --jobs "${STREAMKIT_JOBS:-$(nproc)}" "${words[@]}"
}

main "$@"
