"""Runs commands as elsewhere: ``python -m tests.edge_pse.elsewhere PLACE COMMANDS``.

COMMANDS is a JSON list of lists of words. Prints, as JSON, the exit status, what was said and the traceback of each
(empty if it ended in order).

``win32`` and ``darwin``: what only Unix or Linux has is taken away before edge_pse is imported: modules, functions
and constants of ``os``, ``signal`` and ``socket``, /proc, directories that open, files that are replaced or removed
while they are open. Libraries of others are imported before, since they are built for this system. ``nobody``: the user
has no entry in passwd. ``here``: nothing is changed.
"""

import builtins
import importlib
import io
import json
import os
import signal
import socket
import sys
import traceback
import types
from importlib.abc import MetaPathFinder
from pathlib import Path

LIBRARIES = (
    "multiprocessing.popen_spawn_posix", "concurrent.futures.process", "subprocess", "tomllib", "numpy", "soundfile",
    "soxr", "sounddevice", "platformdirs", "click.testing", "rich.live", "rich.progress",
)  # fmt: skip
MODULES = ("termios", "tty", "pty", "fcntl", "pwd", "grp", "resource", "syslog", "readline", "curses")
FUNCTIONS = (
    "getuid", "geteuid", "getgid", "getegid", "getgroups", "getpgid", "getpgrp", "getsid", "getresuid",
    "setuid", "seteuid", "setgid", "setegid", "setsid", "setpgid", "initgroups", "fork", "forkpty", "openpty",
    "fchmod", "fchown", "chown", "lchown", "chroot", "mkfifo", "mknod", "killpg", "nice", "getloadavg",
    "getpriority", "setpriority", "sched_getaffinity", "sched_setaffinity", "sched_setscheduler", "sched_yield",
    "statvfs", "fstatvfs", "fdatasync", "sync", "pread", "pwrite", "posix_fallocate", "posix_fadvise", "sysconf",
    "uname", "ctermid", "ttyname", "tcgetpgrp", "tcsetpgrp", "getxattr", "setxattr", "listxattr", "removexattr",
    "memfd_create", "pidfd_open", "lockf", "sendfile", "copy_file_range", "pipe2", "posix_spawn", "set_blocking",
    "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_SYNC", "O_TMPFILE", "O_PATH", "O_NOCTTY",
)  # fmt: skip
SIGNALS = (
    "SIGHUP", "SIGKILL", "SIGSTOP", "SIGTSTP", "SIGCONT", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH",
    "SIGPIPE", "SIGALRM", "SIGCHLD", "SIGQUIT", "pthread_kill", "pthread_sigmask", "sigwait", "setitimer", "alarm",
    "set_wakeup_fd", "siginterrupt", "pause",
)  # fmt: skip
SOCKETS = ("AF_UNIX", "socketpair", "SO_PASSCRED", "SO_PEERCRED")


class _Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide(platform):
    """From here on this is another system."""
    sys.meta_path.insert(0, _Hidden())
    for name in list(sys.modules):
        if name.partition(".")[0] in MODULES:
            del sys.modules[name]
    for module, names in ((os, FUNCTIONS), (signal, SIGNALS), (socket, SOCKETS)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    # Under Windows these do not take what they can't do as an argument, and say so here.
    os.supports_effective_ids = os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = set()
    _check_files()
    sys.platform = platform


def _check_files():
    open_file, open_descriptor, list_names = io.open, os.open, os.listdir

    def refuse_proc(path):
        if isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith("/proc"):
            raise FileNotFoundError(2, "No such file or directory", path)

    def opened(path, *arguments, **options):
        refuse_proc(path)
        return open_file(path, *arguments, **options)

    def opened_descriptor(path, *arguments, **options):
        refuse_proc(path)
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", path)
        return open_descriptor(path, *arguments, **options)

    def unless_open(function):
        def checked(*arguments, **options):
            files = {
                os.path.realpath(path) for path in arguments if isinstance(path, str | bytes | os.PathLike)
            }
            for descriptor in list_names("/proc/self/fd"):
                place = f"/proc/self/fd/{descriptor}"
                if os.path.realpath(place) in files:
                    raise PermissionError(32, "The process cannot access the file", *arguments[:1])
            return function(*arguments, **options)

        return checked

    builtins.open = io.open = opened
    os.open = opened_descriptor
    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, unless_open(getattr(os, name)))


def without_passwd_entry():
    """From here on the user is one that passwd does not know."""
    import pwd

    def unknown(user_id):
        raise KeyError(f"getpwuid(): uid not found: {user_id}")

    pwd.getpwuid = unknown
    os.environ.pop("HOME", None)


def main(place, commands):
    for library in LIBRARIES:
        importlib.import_module(library)
    if place in ("win32", "darwin"):
        # It asks this for the function of libsndfile that opens a file.
        sys.modules["soundfile"]._sys = types.SimpleNamespace(**vars(sys))
        hide(place)
    elif place == "nobody":
        without_passwd_entry()

    from click.testing import CliRunner

    from edge_pse import cli
    from edge_pse.cli.program import commands as edge_pse
    from edge_pse.diagnosis import network

    network._FRAMES = 110  # doctor plays them at the pace of live sound
    sys.argv = ["edge-pse", "--version"]
    try:
        cli.main()
    except SystemExit as ended:
        assert not ended.code
    said = []
    for words in commands:
        result = CliRunner().invoke(edge_pse, words)
        error = None if isinstance(result.exception, SystemExit) else result.exception
        said.append(
            (result.exit_code, result.output, "".join(traceback.format_exception(error) if error else ()))
        )
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
