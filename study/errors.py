"""The one exception that a person is meant to read, and words for what it tells of."""


class StudyError(Exception):
    """Bad input, in one line: the file, line or key at fault and what was expected instead.

    Every command prints it without a traceback and exits with status 2.
    """


KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def first_line(error: BaseException) -> str:
    """The first line of another library's message, or what kind of error it is."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def kind_text(kind: type) -> str:
    """What a person calls a type of JSON or YAML."""
    return KINDS.get(kind, kind.__name__)


def value_text(value: object) -> str:
    """A value of JSON or YAML as a message repeats it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)
