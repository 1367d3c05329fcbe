"""What a person at the shell sees of a stage command: one line, an exit code, a log."""

import subprocess
import sys
import textwrap

import pytest

COMMAND = textwrap.dedent(
    """
    import sys
    from study.command import Resumable, recipe_argument, run_command, stage_parser
    from study.errors import StudyError

    def main(arguments):
        parser = stage_parser("model.toy", "A toy.", "python -m model.toy --recipe @recipe.json")
        recipe = recipe_argument(parser.parse_args(arguments), "toy")
        print("step 1", file=sys.stderr)
        if recipe.get("bad"):
            raise StudyError("recipe.json: field bad: expected nothing")
        if recipe.get("stop"):
            raise Resumable("SIGTERM, after update 7")

    run_command(main)
    """
)


def run(recipe, *arguments):
    options = ["--recipe", recipe, "--manifest", "m.json"] if recipe else []
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


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
    result = run('{"stage": "store"}')
    assert result.returncode == 2
    assert result.stderr == "error: --recipe: field stage: expected toy, found store\n"


def test_help_shows_an_example():
    result = run(None, "--help")
    assert result.returncode == 0
    assert "example:\n  python -m model.toy --recipe @recipe.json" in result.stdout
