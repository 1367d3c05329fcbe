"""Finished fine-tuning jobs with stored predictions, as manifests in the current directory."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from study.identity import key_of
from study.manifest import load_manifest, publish_manifest
from study.recipes import RecipeTask

PAIR = {"id": ["a", "b"], "label": [0, 1]}
# Columns of predictions.parquet by the task's kind; half of the classes are wrong.
OUTPUTS = {
    "classification": {**PAIR, "probabilities": [[0.9, 0.1, 0.0]] * 2},
    "choice": {**PAIR, "probabilities": [[0.7, 0.1, 0.1, 0.1]] * 2},
    "regression": {**PAIR, "label": [0.0, 5.0], "prediction": [1.0, 2.0]},
    "wsc": {**PAIR, "margin": [-1.0, 0.5]},
    "ranking": {**PAIR, "question": [0, 0], "probability": [0.2, 0.8]},
    "span": {**PAIR, "prediction": ["a red hat", ""]},
}


def rewrite(run, name, write):
    """Publish the run again after `write` made its file `name` anew."""
    write(run.run_directory / name)
    beside = run.run_directory.parent / f"seed-{run.recipe['seed']}.json"
    publish_manifest(beside, run.recipe, files=[*{**run.files, name: {}}], figures=run.figures)
    return load_manifest(run.path)


def publish_seeds(job, value, outputs=None, diverged=(), **figures):
    """A finished fine-tuning job: seed s scored `value` + s; every split has the same outputs.

    `figures` are those of every seed besides its metrics.
    """
    folder, task = Path(job.path).parent, job.recipe["task"]
    outputs = outputs or OUTPUTS[task["kind"]]
    labelled = ["predictions", *(f"predictions-dev-{name}" for name in task.get("more_dev", {}))]
    hidden = [f"predictions-test-{name}" for name in task.get("test", {})]
    seeds = {}
    for seed in job.recipe["seeds"]:
        recipe = {"stage": "finetune-seed", "seed": seed, "of": job.key}
        place = folder / key_of(recipe)
        place.mkdir(parents=True, exist_ok=True)
        for name in [*labelled, *hidden]:
            shown = {k: v for k, v in outputs.items() if k != "label" or name in labelled}
            pq.write_table(pa.table(shown), place / f"{name}.parquet")
        files = [f"{name}.parquet" for name in [*labelled, *hidden]]
        publish_manifest(folder / f"seed-{seed}.json", recipe, files=files, figures={})
        metrics = dict.fromkeys(RecipeTask(**task).reported_metrics, value + seed)
        scored = {"metrics": metrics, "diverged": seed in diverged, "key": place.name}
        seeds[str(seed)] = {**scored, **figures}
    (folder / job.key).mkdir(parents=True, exist_ok=True)
    publish_manifest(job.path, job.recipe, files=[], figures={"seeds": seeds})
