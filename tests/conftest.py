"""What all tests share: hypothesis judges results, never how fast a busy machine is."""

from pathlib import Path

import pytest
import small_study
from hypothesis import HealthCheck, settings

settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def small_finished(tmp_path_factory) -> Path:
    """The small study (small_study.py), undisturbed, one process per job; leave as it is."""
    project = small_study.make_project(tmp_path_factory.mktemp("small") / "finished")
    small_study.build(project)
    return project
