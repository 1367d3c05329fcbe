"""What `--profile slurm` needs of the cluster (`study.doctor`)."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from study.findings import Finding, last_line, note, ok, run, wrong

PROFILE = Path("slurm/profile.yaml")
MIN_JOB_AGE = 120  # seconds: three times as long as the executor waits before it first asks


def slurm() -> Iterator[Finding]:
    """The controller, munge, how to ask for the state of jobs, partitions."""
    if not shutil.which("sinfo"):
        yield ok("SLURM", "not here")
        return
    shown = run("scontrol", "show", "config")
    if "configuration source" in shown.stderr:
        yield ok("SLURM", "not here (its programs are, without a configuration)")
        return
    if shown.returncode:
        remedy = "`scontrol ping` tells which controller is meant; ask who runs the cluster"
        yield wrong("SLURM", f"scontrol: {last_line(shown)}", remedy)
        return
    settings = dict(re.findall(r"^(\S+)\s*= (.*?)\s*$", shown.stdout, re.MULTILINE))
    yield ok("SLURM", f"{settings.get('SLURM_VERSION', '?')}, {settings.get('ClusterName', '?')}")
    if "munge" in settings.get("AuthType", ""):
        yield from munge(re.findall(r"socket=([^,]+)", settings.get("AuthInfo", "")))
    yield from job_states(settings)
    yield from partitions()


def munge(sockets: list[str]) -> Iterator[Finding]:
    """Whether this machine can prove who asks; munged listens where SLURM's AuthInfo says."""
    options = [f"--socket={socket}" for socket in sockets]
    made = run("munge", "--no-input", *options)
    read = run("unmunge", *options, text=made.stdout) if made.returncode == 0 else made
    if read.returncode == 0:
        yield ok("munge", "a credential of this machine is good")
    elif 127 in (made.returncode, read.returncode):
        yield note("munge", f"not tried: {last_line(read)}", "install munge's programs")
    else:
        remedy = "munged must run (systemctl status munge), with the cluster's key and its clock"
        yield wrong("munge", last_line(read), remedy)


def job_states(settings: dict[str, str]) -> Iterator[Finding]:
    """Whether snakemake will learn what became of its jobs."""
    age = int((re.match(r"\d+", settings.get("MinJobAge", "")) or ["0"])[0])
    if age >= MIN_JOB_AGE:
        yield ok("states", f"squeue tells them (MinJobAge {age} s)")
    elif run("sacct", "--noheader", "--starttime=now").returncode == 0:
        yield ok("states", f"sacct tells them (MinJobAge {age} s is too short for squeue)")
    else:
        text = f"squeue forgets finished jobs after {age} s (MinJobAge), and sacct does not answer"
        yield wrong("states", text, f"have MinJobAge raised to {MIN_JOB_AGE} s, or slurmdbd set up")


def partitions() -> Iterator[Finding]:
    """Whether what slurm/profile.yaml names is there, with nodes that are up."""
    told = run("sinfo", "--noheader", "--format=%P|%a|%F|%l|%G")
    lines = [line.split("|") for line in told.stdout.splitlines()]
    up: dict[str, str] = {}
    for name, state, counts, limit, gres in lines:
        allocated, idle, *_ = map(_number, counts.split("/"))
        if state == "up" and allocated + idle:
            up.setdefault(name.rstrip("*"), f"{name} ({allocated + idle} nodes, {limit}, {gres})")
    asked = named_partitions()
    lacking = [name for name in asked if name not in up]
    if lacking:
        text = f"{PROFILE}: {', '.join(lacking)}: no such partition with nodes that are up"
        yield wrong("partition", text, f"name one of {', '.join(up) or 'none'}")
    elif not asked and not any(name.endswith("*") for name, *_ in lines):
        text = f"no default partition, and {PROFILE} names none"
        yield wrong("partition", text, f"name one as its slurm_partition: {', '.join(up)}")
    elif up:
        yield ok("partition", ", ".join(up.values()))
    else:
        yield wrong("partition", "no nodes are up", "`sinfo -R` says why")


def _number(text: str) -> int:
    """A number as sinfo writes it: 12, 3K."""
    return int(float(text.rstrip("K")) * (1000 if text.endswith("K") else 1))


def named_partitions() -> list[str]:
    """The partitions that the profile `slurm` names."""
    if not PROFILE.is_file():
        return []
    profile = yaml.safe_load(PROFILE.read_text()) or {}
    resources = [profile.get("default-resources"), *(profile.get("set-resources") or {}).values()]
    names = [asked.get("slurm_partition") for asked in resources if isinstance(asked, dict)]
    return sorted({part for name in names if name for part in str(name).split(",")})
