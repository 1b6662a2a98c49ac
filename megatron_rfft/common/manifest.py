"""Manifests: what an artifact was made from, and the checksums that prove it is whole.

A manifest holds no time stamps and no absolute paths, so that equal inputs give equal bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from megatron_rfft import __version__
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_file, sha256_file, write_json

FORMAT = 1


def write_manifest(
    path: Path | str,
    kind: str,
    files: Iterable[Path | str],
    checksums: Mapping[Path, str] | None = None,
    **sections: Any,
) -> dict:
    """Write the manifest of ``files`` (which lie below the manifest's folder) and return it.

    ``kind`` names the artifact ("corpus", "dataset", "checkpoint", ...); ``sections`` are JSON values such as
    ``config=``, ``counts=`` and ``inputs=``. Of files in ``checksums`` the SHA-256 is known: they are not read again.
    """
    path = Path(path)
    known = checksums or {}
    entries = {}
    for file in sorted(Path(f) for f in files):
        name = file.relative_to(path.parent).as_posix()
        entries[name] = {"bytes": file.stat().st_size, "sha256": known.get(file) or sha256_file(file)}
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
    return isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


def verify_manifest(path: Path | str, kind: str, hashed: bool = True) -> list[str]:
    """Check every file of a manifest; return one line per problem, none if the artifact is whole.

    Without ``hashed`` the files are not read: what counts is that they are there, and their sizes.
    """
    path = Path(path)
    sha256 = sha256_file if hashed else None
    entries = read_manifest(path, kind)["files"].items()
    return [problem for name, entry in entries if (problem := file_problem(path.parent / name, entry, sha256))]


def file_problem(
    file: Path, entry: Mapping[str, Any], sha256: Callable[[Path], str] | None = sha256_file
) -> str | None:
    """What tells ``file`` from the one of its manifest's ``entry``; None: nothing. ``sha256`` None: its size counts."""
    if not file.is_file():
        return f"{file} is missing"
    if (size := file.stat().st_size) != entry["bytes"]:
        return f"{file} has {size} bytes, the manifest says {entry['bytes']}"
    if sha256 and sha256(file) != entry["sha256"]:
        return f"{file} has another checksum than the manifest"
    return None
