"""A job's side of model/warm.py: offer the job to the warm process, wait, end as it ends.

Where nobody takes the job, or its warm process is lost, the interpreter starts plainly in this
one's place: a stage adopts what is finished and goes on from what is saved. This is loaded before
every job, so it loads little.
"""

import marshal
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

PATIENCE = 10.0  # seconds for an answer, however busy the machine is
LENGTH_BYTES = 4
TAKEN = b"+"  # before the exit code
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
# Shells set these, snakemake sends temporary files there; no library reads them while it is loaded.
OWN = {b"PATH", b"PWD", b"OLDPWD", b"SHLVL", b"_", b"TMPDIR", b"TMP", b"TEMP", b"TEMPDIR"}


def circumstances() -> tuple:
    """What a process inherits, as plain data: the warm one takes only jobs that inherited the same.

    Environment (thread counts and whatever else libraries read while they are loaded), folder,
    umask, nice value, limits, ignored signals, processors.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    limits = [name for name in sorted(vars(resource)) if name.startswith("RLIMIT_")]
    ignored = [int(n) for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN]
    return (
        {name: value for name, value in os.environb.items() if name not in OWN},
        os.path.realpath("."),
        mask,
        os.nice(0),
        [resource.getrlimit(getattr(resource, name)) for name in limits],
        sorted(ignored),
        sorted(os.sched_getaffinity(0)),
    )


def offer(connection: socket.socket, address: str, arguments: list[bytes]) -> bool:
    """Offer the job with its three standard streams; whether it was taken. OSError for a fault."""
    connection.settimeout(PATIENCE)
    connection.connect(address)
    request = marshal.dumps((arguments, dict(os.environb), circumstances()))
    length = len(request).to_bytes(LENGTH_BYTES, "big")
    socket.send_fds(connection, [length], [0, 1, 2])
    connection.sendall(request)
    taken = connection.recv(1) == TAKEN
    connection.settimeout(None)
    return taken


def forward_signals(connection: socket.socket) -> list[int]:
    """Hand signals on to the job from now on, which is in no group of ours; those handed on."""
    heard: list[int] = []

    def tell(number: int) -> None:
        with suppress(OSError):  # it is over, which the main loop learns
            connection.send(bytes([number]))

    def forward(number: int, frame) -> None:
        heard.append(number)
        tell(number)

    def pause(number: int, frame) -> None:
        tell(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        tell(signal.SIGCONT)

    for number, handler in {**dict.fromkeys(FORWARDED, forward), signal.SIGTSTP: pause}.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    return heard


def end_as(code: int) -> NoReturn:
    """End with an exit code, or by the signal that it is minus the number of."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> NoReturn:
    """Have `<socket> -m model.stages.X …` done by the warm process, or do it."""
    address, arguments = sys.argv[1], [os.fsencode(word) for word in sys.argv[2:]]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of this program
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until it is known whom they are for
    heard, answer = [], b""
    with socket.socket(socket.AF_UNIX) as connection:
        with suppress(OSError):
            if offer(connection, address, arguments):
                heard = forward_signals(connection)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
                while part := connection.recv(16):
                    answer += part
        if answer:
            end_as(int(answer))
        if heard:
            end_as(-heard[0])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    os.execv(sys.executable, [os.fsencode(sys.executable), *arguments])
