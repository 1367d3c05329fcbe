"""Archives, .zip or .tar.gz: equal files give equal bytes, whoever packs them and when."""

import gzip
import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from study.errors import StudyError
from study.manifest import check_place, forget_temporaries

ZIP, TAR = (".zip",), (".tar.gz", ".tgz")
# The oldest date that a zip can hold: of all files, for none is older than what it was made from.
DATE = (1980, 1, 1, 0, 0, 0)
SECONDS = 315532800  # the same since 1970
MODE = 0o644
Member = tuple[str, Path | bytes]


def is_archive(path: Path) -> bool:
    """Whether a file is called as an archive."""
    return path.name.endswith((*ZIP, *TAR))


def check_archive(path: Path) -> None:
    """StudyError for a name that tells no kind of archive, or a place where no file can be put."""
    if not is_archive(path):
        raise StudyError(f"{path}: expected a name that ends in {', '.join((*ZIP, *TAR))}")
    check_place(path)


def write_archive(path: Path, members: Iterable[Member]) -> None:
    """Write files by their names in an archive, in this order; in one step, as `write_atomic`."""
    check_archive(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    forget_temporaries(path.parent, path.name)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if path.name.endswith(ZIP):
                _write_zip(file, members)
            else:
                _write_tar(file, members)
        Path(temporary).chmod(MODE)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _write_zip(file: io.BufferedIOBase, members: Iterable[Member]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in members:
            info = zipfile.ZipInfo(name, DATE)
            info.external_attr = MODE << 16
            info.create_system = 3  # Unix, whose modes these are
            archive.writestr(info, _content(source), zipfile.ZIP_DEFLATED)


def _write_tar(file: io.BufferedIOBase, members: Iterable[Member]) -> None:
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, source in members:
            content, info = _content(source), tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), SECONDS, MODE
            archive.addfile(info, io.BytesIO(content))


def read_archive(path: Path, wanted: Callable[[PurePosixPath], bool]) -> dict[str, bytes]:
    """The contents of the files in an archive whose names are `wanted`, by name.

    Raises StudyError where it cannot be read to its end.
    """
    try:
        if path.name.endswith(ZIP):
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if wanted(PurePosixPath(name))]
                return {name: archive.read(name) for name in names}
        with tarfile.open(path, "r:gz") as archive:
            names = [one.name for one in archive if one.isfile()]
            return {
                name: file.read()
                for name in filter(lambda name: wanted(PurePosixPath(name)), names)
                if (file := archive.extractfile(name))
            }
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file or folder") from None
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise StudyError(f"{path}: not a whole archive ({type(error).__name__})") from None
