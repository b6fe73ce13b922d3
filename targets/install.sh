#!/bin/sh
# Installs edge-pse for one user of a Raspberry Pi or a laptop with Debian 12 or 13 (or Raspberry Pi OS): the
# command, the virtual microphone and the service. The same command again brings an installation up to date.
# Settings for each kind of machine are not here: they are a part of the program, in edge_pse/targets.
set -eu
# What this makes is this user's alone, whatever the shell allows others.
umask 077

HERE=$(cd "$(dirname "$0")" && pwd)
COMMAND=$HOME/.local/bin/edge-pse
PACKAGES="python3 python3-venv libportaudio2 libasound2-plugins pulseaudio-utils"

usage() {
    cat <<END
Usage: install.sh [--wheel FILE] [--backend onnx|litert] [--personal] [--assistant] [--panel] [--no-service]
       install.sh --uninstall [--purge]

  --wheel FILE   install this wheel; without it, the checkout that this script lies in
  --backend B    the one inference runtime to install: litert (smaller and faster), unless onnx is asked for
  --personal     also what learns a voice: \`edge-pse personalise\`. It is large, because PyTorch is
  --assistant    also what stands before the speech-to-text of Home Assistant, as a service of its own
  --panel        also a page in the browser, as a service: \`edge-pse panel\`
  --no-service   no virtual microphone and no service
  --uninstall    remove it; profiles and the service's options are kept,
  --purge        unless this is given, too
END
}

# Where things are. The service is started by the user's systemd, which does not know the variables of this shell.
find_places() {
    DATA=${XDG_DATA_HOME:-$HOME/.local/share}/edge-pse
    # An installation stays where it is, whatever XDG_DATA_HOME is today.
    case $(readlink "$COMMAND") in
    */edge-pse/venv/bin/edge-pse) DATA=$(dirname "$(dirname "$(dirname "$(readlink "$COMMAND")")")") ;;
    esac
    VENV=$DATA/venv
    CONFIGURATION=$(of_the_manager XDG_CONFIG_HOME)
    CONFIGURATION=${CONFIGURATION:-$HOME/.config}
    of_service edge-pse
    # Where the command looks for voices in this shell, and where it does in the service.
    VOICES=${EDGE_PSE_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/edge-pse}
    case $VOICES in /*) ;; *) VOICES=$PWD/$VOICES ;; esac
    SERVICE_VOICES=$(of_the_manager EDGE_PSE_HOME)
    SERVICE_DATA=$(of_the_manager XDG_DATA_HOME)
    SERVICE_VOICES=${SERVICE_VOICES:-${SERVICE_DATA:-$HOME/.local/share}/edge-pse}
}

# Where things of one of the services are: edge-pse, edge-pse-wyoming and edge-pse-panel.
of_service() {
    SERVICE=$1
    case $SERVICE in
    edge-pse) CALL="run \$EDGE_PSE_OPTIONS" OPTIONS=$CONFIGURATION/edge-pse/service.conf ;;
    edge-pse-panel) CALL='' OPTIONS=$CONFIGURATION/edge-pse/panel.conf ;;
    *) CALL="wyoming \$EDGE_PSE_WYOMING_OPTIONS" OPTIONS=$CONFIGURATION/edge-pse/wyoming.conf ;;
    esac
    UNIT=$CONFIGURATION/systemd/user/$SERVICE.service
    # What of the unit depends on this user, and which files it sees.
    PLACES=$UNIT.d/places.conf
    FILES=$UNIT.d/files.conf
}

# A variable as the user's systemd has it; empty if it has none, or does not run.
of_the_manager() {
    systemctl --user show-environment 2>/dev/null | sed -n "s/^$1=//p"
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

main() {
    wheel='' backend=litert service=yes personal=no assistant=no panel=no action=install purge=no
    while [ $# -gt 0 ]; do
        case $1 in
        --wheel) [ $# -gt 1 ] || fail "--wheel needs the name of a file."; wheel=$2; shift ;;
        --backend) [ $# -gt 1 ] || fail "--backend needs a name."; backend=$2; shift ;;
        --no-service) service=no ;;
        --personal) personal=yes ;;
        --assistant) assistant=yes ;;
        --panel) panel=yes ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        -h | --help) usage; exit ;;
        *) usage >&2; fail "There is no option $1." ;;
        esac
        shift
    done
    find_places
    # An installation that can learn a voice goes on to, and so does one before an assistant, or with a panel.
    [ ! -d "$VENV/share/edge-pse" ] || personal=yes
    [ ! -e "$CONFIGURATION/systemd/user/edge-pse-wyoming.service" ] || assistant=yes
    [ ! -e "$CONFIGURATION/systemd/user/edge-pse-panel.service" ] || panel=yes
    [ -z "${SUDO_USER:-}" ] || fail "Run this as yourself, without sudo; it asks for sudo where it needs it."
    if [ "$action" = uninstall ]; then
        uninstall
        return
    fi
    [ "$purge" = no ] || fail "--purge goes with --uninstall."
    case $backend in onnx | litert) ;; *) fail "There is no backend $backend: litert or onnx." ;; esac
    [ -z "$wheel" ] || [ -f "$wheel" ] || fail "There is no file $wheel."
    [ "$personal" = no ] || [ -d "$HERE/../personalisation" ] || fail "--personal needs the whole checkout around this script."
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
    if [ "$assistant" = yes ]; then
        install_assistant
    fi
    [ "$panel" = no ] || install_panel
    case :$PATH: in
    *":$HOME/.local/bin:"*) ;;
    *) echo "Log in again, so that ~/.local/bin is in your PATH; until then call $COMMAND." ;;
    esac
    echo "Installed $("$COMMAND" --version | tr , ' '). Next: $(next_step)."
}

next_step() {
    if [ "$service" = yes ]; then
        echo "edge-pse enroll me, then \`--profile me\` in $CONFIGURATION/edge-pse/service.conf"
    else
        echo "edge-pse enroll me, then edge-pse run --output virtual --profile me"
    fi
}

check_machine() {
    command -v dpkg >/dev/null || fail "This is for Debian and Raspberry Pi OS; elsewhere: pip install . in the checkout."
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
    (
        umask 022 # what apt installs is everybody's
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    ) || fail "apt could not install$missing: see above, and run this again."
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
        chmod 700 "$DATA" # it may have been there, open to others
        python3 -m venv "$VENV" || { rm -rf "$VENV"; fail "python3 could not make $VENV: see above."; }
    fi
    building=$(mktemp -d)
    trap 'rm -rf "$building"' EXIT
    if ! { build_wheel && install_wheel && install_learner && install_protocol; }; then
        [ "$new" = no ] || rm -rf "$VENV"
        rmdir "$DATA" 2>/dev/null || true
        fail "pip could not install edge-pse: see above; with no network, nothing was changed."
    fi
    mkdir -p "$(dirname "$COMMAND")"
    ln -sfn "$VENV/bin/edge-pse" "$COMMAND"
}

build_wheel() {
    [ -z "$wheel" ] || return 0
    # In a copy: a build leaves its own files beside the sources. With what is locked: a build that is isolated from
    # it would download the newest.
    mkdir "$building/source" &&
        cp -R "$HERE/../edge_pse" "$HERE/../pyproject.toml" "$HERE/../README.md" "$HERE/../LICENSE" "$building/source" &&
        install_locked build --target "$building/tools" &&
        PYTHONPATH=$building/tools "$VENV/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation \
            -w "$building" "$building/source" &&
        wheel=$(echo "$building"/edge_pse-*.whl)
}

install_wheel() {
    case $backend in
    onnx) other=ai-edge-litert ;;
    litert) other=onnxruntime ;;
    esac
    echo "Installing edge-pse with $backend into $VENV"
    install_locked "$backend" || return 1
    # The version may be the one that is there, and its files others.
    "$VENV/bin/python" -m pip install --quiet --no-compile --no-deps --force-reinstall "$wheel" || return 1
    # Debian 12 puts setuptools into every environment; nothing here needs it.
    "$VENV/bin/python" -m pip uninstall -qq -y "$other" setuptools
}

# The learner goes where edge-pse looks for it. It is of the same release as the rest.
install_learner() {
    [ "$personal" = yes ] || return 0
    echo "Installing what learns a voice, PyTorch among it, into $VENV"
    install_locked personal || return 1
    # The build for this machine is the choice of its user: pip's settings say where it comes from.
    torch=$(sed -n 's/^personal = \["\(torch==[0-9.]*\)".*/\1/p' "$HERE/../pyproject.toml")
    "$VENV/bin/python" -m pip install --quiet --no-compile --only-binary=:all: "$torch" || return 1
    learner=$VENV/share/edge-pse
    rm -rf "$learner"
    mkdir -p "$learner" || return 1
    for package in personalisation training export quantization evaluation; do
        cp -R "$HERE/../$package" "$learner" || return 1
    done
}

install_protocol() {
    { [ "$assistant" = no ] || install_locked assistant; } && { [ "$panel" = no ] || install_locked panel; }
}

# What a lock file names (targets/lock.py writes it), and nothing whose hash is another. Uncompiled: what is used
# compiles itself at the first start, and what is not needs no place.
install_locked() {
    locked=$HERE/requirements-$1.txt
    shift
    "$VENV/bin/python" -m pip install --quiet --no-compile --require-hashes --only-binary=:all: \
        --requirement "$locked" "$@"
}

install_service() {
    if ! pactl info >/dev/null 2>&1; then
        echo "No sound server answers, so no virtual microphone and no service: see targets/raspberry-pi/README.md."
        return 0
    fi
    # The sound server is a service, too, and looks where systemd does.
    XDG_CONFIG_HOME=$CONFIGURATION "$COMMAND" virtual-mic on >/dev/null
    if ! systemctl --user show-environment >/dev/null 2>&1; then
        echo "systemd does not run for this user, so no service: start \`edge-pse run --output virtual\` yourself."
        return 0
    fi
    write_unit <<END
# Options of the service: see \`edge-pse run --help\`. After a change: systemctl --user restart edge-pse
EDGE_PSE_OPTIONS=--output virtual --on-demand
END
    start_service
    echo "The service runs whenever you are logged in; from boot on, too, after: sudo loginctl enable-linger $(id -un)"
}

install_assistant() {
    of_service edge-pse-wyoming
    if ! systemctl --user show-environment >/dev/null 2>&1; then
        echo "systemd does not run for this user, so no service: start \`edge-pse wyoming --asr URI\` yourself."
        return 0
    fi
    write_unit <<END
# Options of the service: see \`edge-pse wyoming --help\`. After a change: systemctl --user restart edge-pse-wyoming
EDGE_PSE_WYOMING_OPTIONS=--asr tcp://127.0.0.1:10300
END
    # It is there for others to reach, on the loopback address of the machine.
    echo "PrivateNetwork=no" >>"$PLACES"
    start_service
    echo "Home Assistant finds edge-pse at port 10350; where its speech-to-text is, and whose voice is kept, say in $OPTIONS."
}

install_panel() {
    listens=$(sed -n "s/^EDGE_PSE_PANEL_OPTIONS=//p" "$CONFIGURATION/edge-pse/panel.conf" 2>/dev/null) || true
    # shellcheck disable=SC2086  # one word for each
    "$COMMAND" panel --install $listens || fail "The panel could not be installed: see above."
}

# The unit, and its options as they come on standard input, unless there are some.
write_unit() {
    mkdir -p "$(dirname "$PLACES")" "$(dirname "$OPTIONS")"
    chmod 700 "$(dirname "$OPTIONS")"
    cp "$HERE/$SERVICE.service" "$UNIT"
    write_places
    if [ -e "$OPTIONS" ]; then
        chmod go-w "$OPTIONS"
    else
        cat >"$OPTIONS"
    fi
}

# The service finds the voices where this shell enrolls them.
write_places() {
    case $VOICES$VENV in
    *'
'*) fail "A place with a line break in its name can't be told to systemd: $VOICES" ;;
    esac
    cat >"$PLACES" <<END
[Service]
Environment="EDGE_PSE_HOME=$(escaped "$VOICES")"
ExecStart=
ExecStart="$(escaped "$VENV/bin/edge-pse" | sed 's/\$/$$/g')" $CALL
END
    mkdir -p "$VOICES"
    cp "$HERE/edge-pse-files.conf" "$FILES"
    cat >>"$FILES" <<END
BindPaths="$(escaped "$VOICES")"
BindReadOnlyPaths="$(escaped "$VENV")"
END
    python=$("$VENV/bin/python" -c 'import sys; print(sys.base_prefix)')
    case $python in
    "$HOME"/*) echo "BindReadOnlyPaths=\"$(escaped "$python")\"" >>"$FILES" ;;
    esac
}

start_service() {
    why="journalctl --user -u $SERVICE says why."
    systemctl --user daemon-reload
    systemctl --user enable --quiet $SERVICE
    # It may have failed too often for another try, with what is mended by this.
    systemctl --user reset-failed $SERVICE 2>/dev/null || true
    ! systemctl --user restart $SERVICE 2>/dev/null || return 0
    case $(systemctl --user show --property=ExecMainStatus --value $SERVICE) in
    217 | 226) ;; # what systemd ends with where it may make no namespace (systemd.exec(5))
    *) fail "The service does not start: $why" ;;
    esac
    rm -f "$FILES"
    systemctl --user daemon-reload
    systemctl --user restart $SERVICE || fail "The service does not start: $why"
    echo "This system gives users no namespaces: the service sees all files that you see."
}

# For systemd, between quotation marks.
escaped() {
    printf %s "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g'
}

uninstall() {
    recorded=$(sed -n 's/^Environment="EDGE_PSE_HOME=\(.*\)"$/\1/p' "$PLACES" 2>/dev/null | sed 's/%%/%/g; s/\\\(.\)/\1/g')
    if [ -e "$CONFIGURATION/systemd/user/edge-pse-panel.service" ] && [ -x "$COMMAND" ]; then
        "$COMMAND" panel --uninstall >/dev/null 2>&1 || true
    fi
    for name in edge-pse-panel edge-pse-wyoming edge-pse; do
        of_service "$name"
        [ "$purge" = no ] || rm -f "$OPTIONS"
        [ -e "$UNIT" ] || continue
        systemctl --user disable --now --quiet "$SERVICE" 2>/dev/null || true
        rm -f "$UNIT" "$PLACES" "$FILES"
        rmdir "$UNIT.d" 2>/dev/null || true
        systemctl --user daemon-reload 2>/dev/null || true
    done
    if [ -x "$COMMAND" ]; then
        # It ends with an error where no sound server runs; its lines in the configuration are gone all the same.
        XDG_CONFIG_HOME=$CONFIGURATION "$COMMAND" virtual-mic off >/dev/null 2>&1 || true
    fi
    [ "$(readlink "$COMMAND")" != "$VENV/bin/edge-pse" ] || rm -f "$COMMAND"
    rm -rf "$VENV" "$HOME/.local/share/edge-pse/venv"
    echo "Removed edge-pse; what apt installed stays (needed before:$PACKAGES)."
    for place in "$VOICES" "$SERVICE_VOICES" "$recorded" "$DATA" "$HOME/.local/share/edge-pse"; do
        [ -z "$place" ] || leave_voices "$place"
    done
    rmdir "$(dirname "$OPTIONS")" 2>/dev/null || true
    if [ "$(loginctl show-user "$(id -un)" --property=Linger --value 2>/dev/null)" = yes ]; then
        echo "Your services still run from boot on, without a login. If no other one needs that:" \
            "sudo loginctl disable-linger $(id -un)"
    fi
}

# Remove the voices of a place, or say that they are still there. What else lies beside them is not ours.
leave_voices() {
    if [ -d "$1/profiles" ]; then
        if [ "$purge" = yes ]; then
            find "$1/profiles" -maxdepth 1 \( -name '*.profile.json' -o -name '*.personal' \
                -o -name .lock -o -name '.*.tmp' \) -type f -exec rm -f {} +
        fi
        rmdir "$1/profiles" 2>/dev/null ||
            if [ "$purge" = yes ]; then
                echo "In $1/profiles are files that edge-pse did not make; they are still there."
            else
                echo "The profiles are still in $1/profiles; --uninstall --purge removes them, too."
            fi
    fi
    rmdir "$1" 2>/dev/null || true
}

main "$@"
