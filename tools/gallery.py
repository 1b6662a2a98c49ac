#!/usr/bin/env python3
"""Write the gallery of tasks: a page for each with its rule, a question in some forms, and how long traces get."""

import json
from pathlib import Path

from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser, run_command
from megatron_rfft.corpus.gallery import gallery_pages, write_gallery

DEFAULT = Path("examples/gallery")


def main() -> int:
    parser = make_parser(__doc__, "python tools/gallery.py --check")
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=DEFAULT, help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not current")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    if options.check:
        stale = [name for name, text in gallery_pages() if not _is_current(options.output / name, text)]
        plain = "\n".join([*(f"not current: {name}" for name in stale), f"{len(stale)} pages are not current"])
        print(json.dumps({"output": str(options.output), "stale": stale}) if options.json else plain)
        return EXIT_FAILED if stale else EXIT_OK
    files = write_gallery(options.output)
    result = {"output": str(options.output), "pages": len(files)}
    print(json.dumps(result) if options.json else f"{len(files)} pages: {options.output}")
    return EXIT_OK


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    run_command(main)
