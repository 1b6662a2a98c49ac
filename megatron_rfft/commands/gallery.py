"""Write the gallery of tasks: a page for each with its rule, a question in some forms, and how long traces get."""

import json
from pathlib import Path

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser
from megatron_rfft.corpus.gallery import gallery_pages, write_gallery

DEFAULT = Path("examples/gallery")


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser(__doc__, "rfft gallery --check", "rfft gallery")
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=DEFAULT, help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not current")
    add_json(parser)
    options = parser.parse_args(arguments)
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
