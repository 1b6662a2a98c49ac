"""Manifests: what an artifact was made from, and the checksums that prove it is whole.

A manifest holds no time stamps and no absolute paths, so that equal inputs give equal bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from megatron_rfft import __version__
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import HASHES, file_checksum, read_json, require_file, write_json

FORMAT = 1


def write_manifest(
    path: Path | str,
    kind: str,
    files: Iterable[Path | str],
    checksums: Mapping[Path, str] | None = None,
    algorithm: str = "sha256",
    **sections: Any,
) -> dict:
    """Write the manifest of ``files`` (which lie below the manifest's folder) and return it.

    ``kind`` names the artifact ("corpus", "dataset", "checkpoint", ...); ``sections`` are JSON values such as
    ``config=``, ``counts=`` and ``inputs=``. ``checksums`` are those known already, by ``algorithm`` (one of
    ``files.HASHES``): these files are not read again. Of the others the SHA-256 is taken.
    """
    path = Path(path)
    known = checksums or {}
    entries = {}
    for file in sorted(Path(f) for f in files):
        name = file.relative_to(path.parent).as_posix()
        used = algorithm if file in known else "sha256"
        entries[name] = {"bytes": file.stat().st_size, used: known.get(file) or file_checksum(file, used)}
    manifest = {"kind": kind, "format": FORMAT, "megatron_rfft": __version__, **sections, "files": entries}
    write_json(path, manifest)
    return manifest


class DamagedManifest(UserError):
    """A manifest that cannot be read: what it is of can only be made again."""


def read_manifest(path: Path | str, kind: str) -> dict:
    """Read a manifest. Raises UserError if it is missing, of another kind or of a newer format; DamagedManifest if it
    is not JSON, or does not say which files are whole.
    """
    try:
        manifest = read_json(require_file(path))
    except UserError as error:
        raise DamagedManifest(str(error)) if Path(path).is_file() else error from error
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        found = manifest.get("kind") if isinstance(manifest, dict) else type(manifest).__name__
        raise UserError(f"{path} is not the manifest of a {kind} (found {found!r}); give the path of a {kind}")
    if manifest.get("format") != FORMAT:
        raise UserError(f"{path} has manifest format {manifest.get('format')!r}; this version reads format {FORMAT}")
    files = manifest.get("files")
    if not (isinstance(files, dict) and all(map(_is_entry, files.values()))):
        raise DamagedManifest(f"{path} is damaged: it does not say which files are whole; restore or regenerate it")
    return manifest


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("bytes"), int):
        return False
    return [type(entry[name]) for name in HASHES if name in entry] == [str]


def checksum_in(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The algorithm (one of ``files.HASHES``) and the checksum that a file's entry in a manifest gives."""
    ((algorithm, checksum),) = ((name, entry[name]) for name in HASHES if name in entry)
    return algorithm, checksum


def verify_manifest(path: Path | str, kind: str, hashed: bool = True) -> list[str]:
    """Check every file of a manifest; return one line per problem, none if the artifact is whole.

    Without ``hashed`` the files are not read: what counts is that they are there, and their sizes.
    """
    path = Path(path)
    entries = read_manifest(path, kind)["files"].items()
    return [problem for name, entry in entries if (problem := file_problem(path.parent / name, entry, hashed=hashed))]


def file_problem(
    file: Path, entry: Mapping[str, Any], found: Callable[[], str] | None = None, hashed: bool = True
) -> str | None:
    """What tells ``file`` from the one of its manifest's ``entry``; None: nothing.

    ``found`` gives its checksum where the caller knows it. Without ``hashed`` only its size counts.
    """
    if not file.is_file():
        return f"{file} is missing"
    if (size := file.stat().st_size) != entry["bytes"]:
        return f"{file} has {size} bytes, the manifest says {entry['bytes']}"
    algorithm, checksum = checksum_in(entry)
    if hashed and (found() if found else file_checksum(file, algorithm)) != checksum:
        return f"{file} has another checksum than the manifest"
    return None
