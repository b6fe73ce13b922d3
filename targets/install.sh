#!/bin/sh
# Installs edge-pse for one user of a Raspberry Pi or a laptop with Debian 12 or 13 (or Raspberry Pi OS): the
# command, the virtual microphone and the service. The same command again brings an installation up to date.
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
DATA=${XDG_DATA_HOME:-$HOME/.local/share}/edge-pse
VENV=$DATA/venv
COMMAND=$HOME/.local/bin/edge-pse
CONFIGURATION=${XDG_CONFIG_HOME:-$HOME/.config}
OPTIONS=$CONFIGURATION/edge-pse/service.conf
UNIT=$CONFIGURATION/systemd/user/edge-pse.service
PACKAGES="python3 python3-venv libportaudio2 libasound2-plugins pulseaudio-utils"

usage() {
    cat <<END
Usage: install.sh [--wheel FILE] [--backend onnx|litert] [--no-service]
       install.sh --uninstall [--purge]

  --wheel FILE   install this wheel; without it, the checkout that this script lies in
  --backend B    the one inference runtime to install (onnx); litert is smaller and faster
  --no-service   no virtual microphone and no service
  --uninstall    remove it; profiles and the service's options are kept,
  --purge        unless this is given, too
END
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

main() {
    wheel='' backend=onnx service=yes action=install purge=no
    while [ $# -gt 0 ]; do
        case $1 in
        --wheel) [ $# -gt 1 ] || fail "--wheel needs the name of a file."; wheel=$2; shift ;;
        --backend) [ $# -gt 1 ] || fail "--backend needs a name."; backend=$2; shift ;;
        --no-service) service=no ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        -h | --help) usage; exit ;;
        *) usage >&2; fail "There is no option $1." ;;
        esac
        shift
    done
    [ -z "${SUDO_USER:-}" ] || fail "Run this as yourself, without sudo; it asks for sudo where it needs it."
    if [ "$action" = uninstall ]; then
        uninstall
        return
    fi
    [ "$purge" = no ] || fail "--purge goes with --uninstall."
    case $backend in onnx | litert) ;; *) fail "There is no backend $backend: onnx or litert." ;; esac
    [ -z "$wheel" ] || [ -f "$wheel" ] || fail "There is no file $wheel."
    install
}

install() {
    check_machine
    install_packages
    check_python
    [ ! -e "$COMMAND" ] || [ "$(readlink "$COMMAND")" = "$VENV/bin/edge-pse" ] ||
        fail "$COMMAND is something else: move it away, then run this again."
    install_command
    if [ "$service" = yes ]; then
        install_service
    fi
    case :$PATH: in
    *":$HOME/.local/bin:"*) ;;
    *) echo "Log in again, so that ~/.local/bin is in your PATH; until then call $COMMAND." ;;
    esac
    echo "Installed $("$COMMAND" --version | tr , ' '). Next: edge-pse enroll, then \`--profile NAME\` in $OPTIONS."
}

check_machine() {
    command -v dpkg >/dev/null || fail "This is for Debian and Raspberry Pi OS; elsewhere: pip install edge-pse."
    architecture=$(dpkg --print-architecture)
    case $architecture in
    amd64 | arm64) ;;
    # The kernel of a 32-bit Raspberry Pi OS may still be of 64 bits: ask for what programs are made of.
    *) fail "No inference runtime is made for $architecture: use the 64-bit system for this machine." ;;
    esac
}

install_packages() {
    missing=''
    for package in $PACKAGES; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=''
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "As root, run: apt-get install$missing; then run this again."
        as_root=sudo
    fi
    echo "Installing with apt:$missing"
    # shellcheck disable=SC2086  # one word for each package
    {
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    } || fail "apt could not install$missing: see above, and run this again."
}

check_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version) is too old: Python 3.11 comes with Debian 12 (Bookworm)."
}

install_command() {
    # A new release of the system takes the old Python away, and leaves environments that no longer start; an
    # installation that was cut off leaves half of one.
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || rm -rf "$VENV"
    new=no
    if [ ! -d "$VENV" ]; then
        new=yes
        mkdir -p "$DATA"
        python3 -m venv "$VENV" || { rm -rf "$VENV"; fail "python3 could not make $VENV: see above."; }
    fi
    building=$(mktemp -d)
    trap 'rm -rf "$building"' EXIT
    if ! { build_wheel && install_wheel; }; then
        [ "$new" = no ] || rm -rf "$VENV"
        fail "pip could not install edge-pse: see above; with no network, nothing was changed."
    fi
    mkdir -p "$(dirname "$COMMAND")"
    ln -sfn "$VENV/bin/edge-pse" "$COMMAND"
}

build_wheel() {
    [ -z "$wheel" ] || return 0
    # In a copy: a build leaves its own files beside the sources.
    mkdir "$building/source" &&
        cp -R "$HERE/../edge_pse" "$HERE/../pyproject.toml" "$HERE/../README.md" "$HERE/../LICENSE" "$building/source" &&
        "$VENV/bin/python" -m pip wheel --quiet --no-deps -w "$building" "$building/source" &&
        wheel=$(echo "$building"/edge_pse-*.whl)
}

install_wheel() {
    case $backend in
    onnx) extra='' other=ai-edge-litert ;;
    # The package always asks for ONNX Runtime, so that pip alone gives something that works.
    litert) extra='[litert]' other=onnxruntime ;;
    esac
    echo "Installing edge-pse with $backend into $VENV"
    # Uncompiled: what is used compiles itself at the first start, and what is not needs no place.
    "$VENV/bin/python" -m pip install --quiet --no-compile "$wheel$extra" || return 1
    # The version may be the one that is there, and its files others.
    "$VENV/bin/python" -m pip install --quiet --no-compile --no-deps --force-reinstall "$wheel" || return 1
    "$VENV/bin/python" -m pip uninstall -qq -y "$other"
}

install_service() {
    if ! pactl info >/dev/null 2>&1; then
        echo "No sound server answers, so no virtual microphone and no service: see targets/raspberry-pi/README.md."
        return 0
    fi
    "$COMMAND" virtual-mic on >/dev/null
    if ! systemctl --user show-environment >/dev/null 2>&1; then
        echo "systemd does not run for this user, so no service: start \`edge-pse run --output virtual\` yourself."
        return 0
    fi
    mkdir -p "$(dirname "$UNIT")" "$(dirname "$OPTIONS")"
    cp "$HERE/edge-pse.service" "$UNIT"
    if [ ! -e "$OPTIONS" ]; then
        cat >"$OPTIONS" <<END
# Options of the service: see \`edge-pse run --help\`. After a change: systemctl --user restart edge-pse
EDGE_PSE_OPTIONS=--output virtual --on-demand
END
    fi
    systemctl --user daemon-reload
    systemctl --user enable --quiet edge-pse
    systemctl --user restart edge-pse || fail "The service does not start: journalctl --user -u edge-pse says why."
    echo "The service runs whenever you are logged in; from boot on, too, after: sudo loginctl enable-linger $(id -un)"
}

uninstall() {
    if [ -e "$UNIT" ]; then
        systemctl --user disable --now --quiet edge-pse 2>/dev/null || true
        rm -f "$UNIT"
        systemctl --user daemon-reload 2>/dev/null || true
    fi
    if [ -x "$COMMAND" ]; then
        # It ends with an error where no sound server runs; its lines in the configuration are gone all the same.
        "$COMMAND" virtual-mic off >/dev/null 2>&1 || true
    fi
    [ "$(readlink "$COMMAND")" != "$VENV/bin/edge-pse" ] || rm -f "$COMMAND"
    rm -rf "$VENV"
    if [ "$purge" = yes ]; then
        rm -rf "$DATA/profiles" "$OPTIONS"
    fi
    rmdir "$DATA" "$(dirname "$OPTIONS")" 2>/dev/null || true
    echo "Removed edge-pse; what apt installed stays (needed before:$PACKAGES)."
    [ ! -e "$DATA/profiles" ] || echo "The profiles are still in $DATA/profiles; --uninstall --purge removes them, too."
}

main "$@"
