"""For processes that a test stops: they heed signals, however the tests were started."""

import signal


def heed_signals() -> None:
    """Undo in a child what nohup and a script's `&` do, which hand deafness on to all below."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
