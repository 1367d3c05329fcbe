"""Experiment trackers: which there are, and where they write unless a person says otherwise."""

from typing import Literal

Tracker = Literal["wandb", "mlflow", "trackio"]
PROJECT = "roberta-ablations"
# What names a project to each, in a person's own environment as well.
PROJECT_VARIABLES = {
    "wandb": "WANDB_PROJECT",
    "mlflow": "MLFLOW_EXPERIMENT_NAME",
    "trackio": "TRACKIO_PROJECT",
}


def environment_of(root: str, scale: str) -> dict[str, str]:
    """Variables for the jobs of a scale, whose runs lie in `root`: nothing is written elsewhere.

    Each is meant for where the environment does not have it.
    """
    return {
        **dict.fromkeys(PROJECT_VARIABLES.values(), f"{PROJECT}-{scale}"),
        "WANDB_CACHE_DIR": f"{root}/wandb",
        "WANDB_DATA_DIR": f"{root}/wandb",
        "MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db",
        "TRACKIO_DIR": f"{root}/trackio",
    }
