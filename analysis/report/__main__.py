"""Write `results/report.html` from what is finished: `python -m analysis.report`."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.command import result_command
from analysis.report.contents import contents
from study.command import run_command
from study.graph import Study

TEMPLATES = Path(__file__).with_name("templates")


def report_files(study: Study, _: str) -> tuple[str]:
    """The report as HTML; equal results and runs give equal bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return (environment.get_template("report.html").render(contents(study)),)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.report`."""
    result_command(arguments, "report", report_files)


if __name__ == "__main__":
    run_command(main)
