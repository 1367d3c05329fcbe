"""What the doctor finds, and how it asks other programs."""

import subprocess
from dataclasses import dataclass

PATIENCE = 300  # seconds that one thing which is tried may take


@dataclass(frozen=True)
class Finding:
    """What was found: `ok`, `note` (some things will not work) or `WRONG`, and the remedy."""

    level: str
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{self.level:<5}  {self.subject:<9}  {self.text}{remedy}"


def ok(subject: str, text: str) -> Finding:
    """A finding of what is as it should be."""
    return Finding("ok", subject, text)


def note(subject: str, text: str, remedy: str) -> Finding:
    """A finding that costs something, but no study."""
    return Finding("note", subject, text, remedy)


def wrong(subject: str, text: str, remedy: str) -> Finding:
    """A finding that some study will fail of."""
    return Finding("WRONG", subject, text, remedy)


def run(*command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command; its outputs. One that hangs or is not there has failed, and says so."""
    try:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer in {PATIENCE} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    """The last line of what a failed command said."""
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
    return lines[-1] if lines else f"ended with {result.returncode}"
