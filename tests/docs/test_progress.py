"""docs/how-to/progress.md: a display while it runs, a status from any other shell."""

import json
import re
import shutil

import how_to

SWAPS = {
    "make table2 SCALE=laptop MIRROR=DIR": "make table2 SCALE=smoke MIRROR=hub",
    "--scale laptop --replicates 3": "--scale smoke --replicates 2",
}


def test_a_reader_sees_what_is_done_and_how_far_it_is(small_finished, tmp_path):
    """One fine-tuning is made anew meanwhile."""
    project = tmp_path / "project"
    shutil.copytree(small_finished, project)
    for path in (project / "runs/smoke/finetune").glob("*/seed-0/sst2/*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    printed = how_to.follow("progress", how_to.set_up(project), SWAPS)
    began = r"^results/table2.csv at scale smoke: 1 of \d+ jobs to run on \d+ cores "
    assert re.search(began, printed, re.M)
    assert re.search(r"^\d+/\d+ jobs, time left not known yet$", printed, re.M)
    assert re.search(r"^results/table2.csv at scale smoke: (\d+)/\1 jobs, all done$", printed, re.M)
    # Of two replicates only one is there, and nobody is at work.
    assert re.search(r"^table2 at scale smoke: \d+/\d+ jobs, nobody is at work$", printed, re.M)
    assert re.search(r"^doc-sentences +●· +●· +●· *$", printed, re.M)
    told = json.loads((project / "status.json").read_text())
    assert {job["state"] for job in told["jobs"]} == {"done"}
