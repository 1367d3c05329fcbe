"""The one exception that a person is meant to read."""


class StudyError(Exception):
    """Bad input, in one line: the file, line or key at fault and what was expected instead.

    Every command prints it without a traceback and exits with status 2.
    """
