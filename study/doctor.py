"""`python -m study.doctor`: what a study needs of this machine, and what to do where it is missing.

Each line says what was tried, not what is configured: files are written, two processes ask for the
same lock, two ranks add their numbers. `--submit` does the same in a job of the SLURM cluster, on a
node of the kind that the options after `--` ask for. Ends with 1 where something is wrong, with 0
where there are only notes.
"""

import fcntl
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from study.command import ROOT, command_parser, run_command
from study.errors import StudyError
from study.findings import Finding, last_line, note, ok, run, wrong
from study.reach import no_answer
from study.run import available_cores, code_version, if_known
from study.slurm import PROFILE, slurm

EXIT_WRONG = 1
FOLDERS = ("runs", "results", ".snakemake")  # that a study writes into
GB = 10**9
# Below the first something will fail, below the second a scale beyond `laptop` may.
FEW_BYTES, SOME_BYTES = 1 * GB, 50 * GB
FEW_FILES, SOME_FILES = 1000, 100_000
SHOWN_LATE = 60  # seconds that a shared file system may take to show a file
REFUSED = 3
# Both run in a process of their own: this one loads no torch, and holds the lock.
TRY_LOCK = f"""\
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        sys.exit({REFUSED})
"""
TORCH = """\
import json, torch
seen = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "gpus": [[gpu.name, gpu.total_memory, gpu.major] for gpu in seen],
}))
"""


def packages() -> Iterator[Finding]:
    """The versions that requirements.txt names."""
    install = "pip install -r requirements.txt"
    named = ROOT / "requirements.txt"
    if not named.is_file():
        yield note("packages", f"{named} is not there: no versions to compare with", "git clone")
        return
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", named.read_text(), re.MULTILINE)
    missing, other = [], []
    for name, pinned in pins:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found.partition("+")[0] != pinned:
            other.append(f"{name} {found} (not {pinned})")
    if missing:
        yield wrong("packages", f"not installed: {', '.join(missing)}", install)
    if other:
        yield note("packages", f"other versions than tested: {', '.join(other)}", install)
    if not missing and not other:
        yield ok("packages", f"all {len(pins)} as requirements.txt names them")


def git() -> Iterator[Finding]:
    """Whether results can name the code that made them."""
    version = if_known(code_version) or "unknown"
    if version != "unknown":
        yield ok("git", f"results will name the code {version}")
    elif shutil.which("git"):
        yield note("git", "this folder is no checkout: results cannot name the code", "git clone")
    else:
        yield note("git", "not found: results cannot name the code", "install git")


def writing() -> Iterator[Finding]:
    """Whether the study's folders take files, and by which clock."""
    late = 0.0
    places = dict.fromkeys(folder if Path(folder).is_dir() else "." for folder in FOLDERS)
    for place in places:
        try:
            with tempfile.NamedTemporaryFile(dir=place) as file:
                file.write(b"doctor")
                file.flush()
                os.fsync(file.fileno())
                late = max(late, abs(Path(file.name).stat().st_mtime - time.time()))
        except OSError as error:
            text = f"{Path(place).absolute()}: {error.strerror}"
            yield wrong("writing", text, "chown it, free your quota, or clone into another folder")
            return
    yield ok("writing", f"{Path.cwd()} takes files")
    if late > 5:
        text = f"the file system's clock differs from this machine's by {late:.0f} s"
        yield note("writing", text, "Snakemake compares times: have both clocks set (chrony)")


def runs_folder() -> str:
    """Where runs lie, or will."""
    return "runs" if Path("runs").is_dir() else "."


def disk() -> Iterator[Finding]:
    """Room for files, and for how many, where runs and temporary files go."""
    runs = runs_folder()
    remedy = "free some, or make runs/ a link to a larger disk; `make plan` says what is needed"
    for name, place in (("runs/", runs), ("temporary files", tempfile.gettempdir())):
        room = os.statvfs(place)
        free, files = room.f_bavail * room.f_frsize, room.f_favail
        counted = room.f_files > 0  # some file systems have no fixed number
        text = f"{free / GB:.0f} GB free" + (f", room for {files} files" if counted else "")
        if free < FEW_BYTES or (counted and files < FEW_FILES):
            yield wrong("disk", f"{name}: {text}", remedy)
        elif place == runs and (free < SOME_BYTES or (counted and files < SOME_FILES)):
            yield note("disk", f"{name}: {text}", remedy)
        else:
            yield ok("disk", f"{name}: {text}")


def locks(held: str | None) -> Iterator[Finding]:
    """Whether a lock keeps a second process off; `held` is a file that another machine locked."""
    remedy = "mount it with locks (NFS: without nolock and local_lock; Lustre: -o flock)"
    with tempfile.NamedTemporaryFile(dir=runs_folder()) as file:
        for kind in ("lockf", "flock"):
            lock = getattr(fcntl, kind)
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held_off = is_refused(file.name, kind)
                lock(file, fcntl.LOCK_UN)
                let_in = not is_refused(file.name, kind)
            except OSError as error:
                yield wrong("locks", f"{kind}: {error.strerror or error} ({file_system()})", remedy)
                continue
            if held_off and let_in:
                yield ok("locks", f"{kind} holds between two processes ({file_system()})")
            else:
                what = "a lock outlives its holder" if held_off else "two processes hold one lock"
                yield wrong("locks", f"{kind}: {what} ({file_system()})", remedy)
    if held is None:
        return
    if is_refused(held, "lockf"):
        yield ok("locks", "lockf holds between the machine that submitted this and this one")
    else:
        yield wrong("locks", "lockf: two machines hold one lock", remedy)


def is_refused(path: str, kind: str) -> bool:
    """Whether a process of its own gets no lock (`lockf` or `flock`) of this file.

    Raises OSError where it cannot even ask.
    """
    asked = run(sys.executable, "-c", TRY_LOCK, path, kind)
    if asked.returncode not in (0, REFUSED):
        raise OSError(last_line(asked))
    return asked.returncode == REFUSED


def file_system() -> str:
    """The kind of file system that this folder lies on, as Linux calls it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return platform.system()
    here = Path.cwd()
    above = [(point, kind) for point, kind in mounts if here.is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0]), default=("", "unknown"))[1]


def gpus() -> Iterator[Finding]:
    """The driver's GPUs and torch's."""
    driver = run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    listed = driver.stdout.strip().splitlines() if driver.returncode == 0 else []
    if driver.returncode not in (0, 127):
        yield wrong("GPUs", f"nvidia-smi: {last_line(driver)}", "install the driver, or reboot")
    asked = run(sys.executable, "-c", TORCH)
    if asked.returncode:
        yield wrong("GPUs", f"torch: {last_line(asked)}", "pip install -r requirements.txt")
        return
    torch = json.loads(asked.stdout)
    if torch["gpus"]:
        names = ", ".join(f"{name} ({size / GB:.0f} GB)" for name, size, _ in torch["gpus"])
        yield ok("GPUs", f"{names}; torch {torch['version']}")
        if any(major < 8 for *_, major in torch["gpus"]):
            yield note("GPUs", "older than Ampere: no bf16", "set execution's precision: fp16")
    elif listed and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        built = f"CUDA {torch['cuda']}" if torch["cuda"] else "the CPU alone"
        text = f"torch {torch['version']}, made for {built}, sees none of {'; '.join(listed)}"
        remedy = "a newer driver, or the torch that pytorch.org names for this one"
        yield wrong("GPUs", text, remedy)
    else:
        yield ok("GPUs", "none here: trainings run on the CPU")


def ranks() -> Iterator[Finding]:
    """Whether two processes can train together: one each on two nodes where a job has two."""
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
    launch = ["model.launch", *([f"--nodes={nodes}"] if nodes > 1 else []), str(max(2, nodes))]
    met = run(sys.executable, "-m", *launch, "model.meeting")
    if met.returncode == 0:
        yield ok("ranks", met.stdout.strip())
        return
    remedy = f"NCCL_DEBUG=INFO python -m {' '.join(launch)} model.meeting says more"
    yield wrong("ranks", last_line(met), f"{remedy}; this machine's name must resolve (hostname)")


def data(mirror: str | None) -> Iterator[Finding]:
    """The mirror and the hub."""
    if mirror is not None:
        sets = sorted({path.parent for path in Path(mirror).glob("*/*/*/*.parquet")})
        if sets:
            yield ok("mirror", f"{mirror}: {len(sets)} data sets")
        else:
            remedy = "it holds <org>/<name>/<config>/<split>-0000i-of-0000n.parquet: docs/data.md"
            yield wrong("mirror", f"{mirror}: no data sets", remedy)
    if "SLURM_JOB_ID" in os.environ:
        yield ok("hub", "not asked: compute nodes need none")
    elif reason := no_answer():
        remedy = "name a mirror (mirror=DIR, docs/data.md); the scale demo needs neither"
        yield note("hub", reason, remedy)
    else:
        yield ok("hub", "answers, or is not known to be out of reach")


def findings(checks: dict[str, Callable[[], Iterator[Finding]]]) -> Iterator[Finding]:
    """All that the checks find; what a check itself stumbles over is wrong as well."""
    for subject, check in checks.items():
        try:
            yield from check()
        except Exception as error:
            text = f"could not be tried: {type(error).__name__}: {error}"
            yield wrong(subject, text, "please report what --debug shows")


def examine(mirror: str | None, held: str | None) -> int:
    """Print what is found on this machine; the exit status."""
    job = os.environ.get("SLURM_JOB_ID")
    where = f"{platform.node()}, job {job}" if job else platform.node()
    print(f"{where}: {platform.system()}, Python {platform.python_version()}, ", end="")
    print(f"{available_cores()} cores, {_memory() / GB:.0f} GB of memory", flush=True)
    found = []
    checks = {
        "packages": packages,
        "git": git,
        "writing": writing,
        "disk": disk,
        "locks": lambda: locks(held),
        "GPUs": gpus,
        "ranks": ranks,
        "data": lambda: data(mirror),
        "SLURM": slurm,
    }
    for finding in findings(checks):
        print(finding, flush=True)
        found.append(finding.level)
    return EXIT_WRONG if "WRONG" in found else 0


def _memory() -> int:
    """Bytes of memory of this machine; 0 where nothing tells."""
    return if_known(lambda: os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) or 0


def submit(mirror: str | None, options: list[str]) -> int:
    """Examine a compute node, by a job with these options of sbatch; its exit status.

    This process keeps a file locked while the job asks for the lock from there.
    """
    if not shutil.which("sbatch"):
        raise StudyError("--submit: sbatch not found; it needs a machine that submits to SLURM")
    Path("runs").mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir="runs", prefix="doctor-") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        printed = Path(f"{held.name}.txt")
        inner = [sys.executable, "-m", "study.doctor", f"--held={held.name}"]
        inner += [f"--mirror={mirror}"] if mirror else []
        command = ["sbatch", "--wait", "--job-name=doctor", "--time=15", *profile_options()]
        command += [f"--output={printed}", *options, f"--wrap={shlex.join(inner)}"]
        try:
            code = subprocess.run(command, check=False).returncode
            end = time.monotonic() + SHOWN_LATE
            while not printed.exists() and time.monotonic() < end:
                time.sleep(1)
            if printed.exists():
                print(printed.read_text(errors="replace"), end="")
                return code
        finally:
            printed.unlink(missing_ok=True)
    remedy = "sbatch's words are above; the project's folder must be seen by all nodes"
    print(wrong("job", f"left no words in {printed.parent}", remedy))
    return EXIT_WRONG


def profile_options() -> list[str]:
    """The partition and account of the profile `slurm`, as options of sbatch."""
    profile = yaml.safe_load(PROFILE.read_text()) if PROFILE.is_file() else {}
    resources = (profile or {}).get("default-resources") or {}
    words = {"partition": "slurm_partition", "account": "slurm_account"}
    return [f"--{word}={resources[key]}" for word, key in words.items() if key in resources]


def main(arguments: list[str] | None = None) -> None:
    """Command line of the doctor."""
    example = "python -m study.doctor --submit -- --partition=gpu --gpus=2"
    parser = command_parser("study.doctor", __doc__, example)
    parser.add_argument("--mirror", metavar="DIR", help="also look into this mirror")
    parser.add_argument(
        "--submit", action="store_true", help="examine a compute node of the SLURM cluster"
    )
    parser.add_argument("--held", metavar="FILE", help="a file that another machine keeps locked")
    parser.add_argument(
        "options", nargs="*", metavar="OPTION", help="of --submit, after --: options of sbatch"
    )
    args = parser.parse_args(arguments)
    if args.options and not args.submit:
        raise StudyError(f"{args.options[0]}: options of sbatch are for --submit")
    if args.submit:
        sys.exit(submit(args.mirror, args.options))
    sys.exit(examine(args.mirror, args.held))


if __name__ == "__main__":
    run_command(main)
