"""What a person at the shell sees of a stage command: one line, an exit code, a log."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from project import ROOT

from study.command import outcome_of
from study.errors import StudyError

COMMAND = textwrap.dedent(
    """
    import sys
    from study.command import Resumable, command_parser, run_command
    from study.errors import StudyError
    from study.identity import read_json_argument
    from study.manifest import write_atomic
    from pathlib import Path

    def main(arguments):
        parser = command_parser("model.toy", "A toy.", "python -m model.toy --recipe @recipe.json")
        parser.add_argument("--recipe", required=True)
        parser.add_argument("--manifest", required=True)
        recipe = read_json_argument(parser.parse_args(arguments).recipe, "--recipe")
        print("step 1", file=sys.stderr)
        if recipe.get("bad"):
            raise StudyError("recipe.json: field bad: expected nothing")
        if recipe.get("stop"):
            raise Resumable("SIGTERM, after update 7")
        if "run" in recipe:
            exec(recipe["run"])

    run_command(main)
    """
)


FULL = Path("/dev/full")


def run(recipe, *arguments, **settings):
    options = ["--recipe", recipe, "--manifest", "m.json"] if recipe else []
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *options, *arguments],
        **{"capture_output": True, "text": True, "check": False, **settings},
    )


def fail(code, *arguments, **settings):
    """Run the toy command whose main ends in `code`."""
    return run(json.dumps({"stage": "toy", "run": code}), *arguments, **settings)


@pytest.mark.parametrize(
    ("recipe", "code", "line"),
    [
        ('{"stage": "toy"}', 0, None),
        (
            '{"stage": "toy", "bad": 1}',
            2,
            "error: recipe.json: field bad: expected nothing",
        ),
        (
            '{"stage": "toy", "stop": 1}',
            75,
            "stopped: SIGTERM, after update 7; run the same command again to go on",
        ),
    ],
)
def test_exit_code_and_one_line(tmp_path, recipe, code, line):
    log = tmp_path / "logs" / "toy.log"
    result = run(recipe, "--log", str(log))
    expected = ["step 1", *([line] if line else [])]
    assert result.returncode == code
    assert result.stderr.splitlines() == expected
    assert log.read_text().splitlines() == expected


def test_recipe_of_another_stage_is_refused():
    arguments = ["--recipe", '{"stage": "store"}', "--manifest", "m.json", "--pretrain", "p.json"]
    command = [sys.executable, "-m", "model.stages.selection", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "error: --recipe: field stage: expected selection, found store\n"


def test_help_shows_an_example():
    result = run(None, "--help")
    assert result.returncode == 0
    assert "example:\n  python -m model.toy --recipe @recipe.json" in result.stdout


@pytest.mark.parametrize(
    ("code", "status", "line"),
    [
        ("open('gone/file')", 2, "error: gone/file: No such file or directory"),
        ("open('/')", 2, "error: /: Is a directory"),
        ("Path('/etc').mkdir()", 2, "error: /etc: File exists"),
        ("Path('/etc/hostname/x').mkdir()", 2, "error: /etc/hostname/x: Not a directory"),
        ("write_atomic(Path('/etc'), 'x')", 2, "/etc: a folder lies where this file belongs"),
        ("Path('a').rename('/gone/b')", 2, "error: a -> /gone/b: No such file or directory"),
        ("raise OSError(28, 'No space left on device')", 2, "No space left on device"),
        ("raise MemoryError", 2, "error: not enough memory ("),
        ("raise RuntimeError('[x] can\\'t allocate memory: 9 bytes')", 2, "not enough memory: [x]"),
        ("raise KeyboardInterrupt", 130, "stopped: Ctrl-C; run the same command again"),
        ("raise StudyError('a.yaml: two\\n  lines')", 2, "error: a.yaml: two lines"),
        ("{}['dev']", 1, "error: KeyError: 'dev' ("),
        ("[][5]", 1, "error: IndexError: list index out of range ("),
        ("b'\\xff'.decode()", 1, "error: UnicodeDecodeError: 'utf-8' codec can't decode"),
        ("import no_such_module", 2, "error: No module named 'no_such_module'"),
    ],
)
def test_whatever_goes_wrong_is_one_line(code, status, line):
    result = fail(code)
    assert result.returncode == status
    first, told = result.stderr.splitlines()
    assert first == "step 1"
    assert line in told
    assert "Traceback" in fail(code, "--debug").stderr


def test_what_nobody_foresaw_names_its_place_and_asks_for_a_report():
    line = fail("write_atomic(Path('x'), None)").stderr.splitlines()[-1]
    assert line.startswith("error: TypeError: a bytes-like object is required, not 'NoneType'")
    assert "(study/manifest.py, line " in line
    assert "please report what the same command prints with --debug" in line


def test_a_thread_that_fails_is_one_line():
    code = (
        "import threading; t = threading.Thread(target=lambda: open('gone')); t.start(); t.join()"
    )
    result = fail(code)
    assert result.returncode == 0
    told = "notice: a helper thread ended: FileNotFoundError: [Errno 2] No such file or directory"
    assert result.stderr.splitlines() == ["step 1", f"{told}: 'gone'"]


def test_an_error_in_a_workers_words_is_its_last_line():
    """torch hands an exception of a DataLoader's worker over with its traceback as text."""
    text = (
        "Caught StudyError in DataLoader worker process 0.\nOriginal Traceback (most recent call "
        'last):\n  File "x.py", line 1, in f\nstudy.errors.StudyError: a.bin: cut\n'
    )
    assert outcome_of(StudyError(text)) == (2, "error: a.bin: cut")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--recipe", "{}"], "the following arguments are required: --manifest"),
        (["--recipe", "{}", "--manifest", "m", "--lo", "x"], "unrecognized arguments: --lo x"),
        (["--recipe", "{}", "--manifest", "m", "--log"], "argument --log: expected one argument"),
    ],
)
def test_bad_arguments_are_one_line(arguments, told):
    result = run(None, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("log", ["/dev/null/log", "/"])
def test_a_log_that_cannot_be_is_one_line(log):
    result = run('{"stage": "toy"}', "--log", log)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: /")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_that_holds_the_log_does_not_lose_the_message():
    result = run('{"stage": "toy", "bad": 1}', "--log", "/dev/full")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "step 1",
        "notice: /dev/full: No space left on device",
        "error: recipe.json: field bad: expected nothing",
    ]


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_one_line():
    with FULL.open("w") as full:
        result = fail("print('table')", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert result.returncode == 2
    line = result.stderr.splitlines()[1]
    assert line.startswith("error: ") and line.endswith(": No space left on device")


def test_a_reader_that_left_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        result = fail("print('table')", stdout=pipe, stderr=subprocess.PIPE, capture_output=False)
    assert result.returncode == 141
    assert result.stderr == "step 1\n"


def test_a_deep_or_unreadable_recipe_is_one_line(tmp_path):
    (tmp_path / "deep.json").write_text('{"a":' * 100_000)
    (tmp_path / "latin.json").write_bytes(b'{"stage": "\xe9"}')
    for name, told in (("deep", "not JSON"), ("latin", "not UTF-8"), ("gone", "No such file")):
        result = run(f"@{tmp_path}/{name}.json")
        assert result.returncode == 2
        assert result.stderr.startswith(f"error: {tmp_path}/{name}.json: ")
        assert told in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("thread", ["", "; threading.Timer(0.2, print, ['thread']).start()"])
@pytest.mark.parametrize(("last", "code"), [("", 0), ("; open('gone')", 2)])
def test_a_command_that_ends_does_what_is_registered_for_the_exit(thread, last, code):
    ends = "import atexit, threading; atexit.register(print, 'exit'); print('main')"
    result = fail(ends + thread + last)
    assert result.returncode == code
    assert result.stdout.split() == ["main", *(["thread"] if thread else []), "exit"]


def commands() -> list[str]:
    """Modules of the project that are commands."""
    root = ROOT
    found = [
        path.relative_to(root).with_suffix("")
        for folder in ("study", "language", "model", "analysis", "benchmarks")
        for path in sorted((root / folder).rglob("*.py"))
        if '__name__ == "__main__"' in path.read_text()
    ]
    return [".".join(path.parts) for path in found]


def test_every_command_passes_the_boundary_and_knows_debug():
    assert len(commands()) > 25
    for module in commands():
        path = ROOT / (module.replace(".", "/") + ".py")
        source = path.read_text()
        parsers = ("command_parser(", "result_command(", "= Stage(")
        assert any(parser in source for parser in parsers), module
        assert "run_command(main)" in source, module
        assert "ArgumentParser(" not in source, module
