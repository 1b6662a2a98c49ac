"""The pages are in short sentences: 14 words on average at most, none over 28."""

import re
from statistics import mean

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [ROOT / folder / "README.md" for folder in ("data_prep", "tools", "slurm", "slurm/container", "examples")]
PAGES += sorted(path for path in (ROOT / "examples").glob("*/README.md") if path.parent.name != "gallery")
MEAN, MOST = 14, 28


def sentences(text: str) -> list[str]:
    """The sentences of a page's paragraphs and list items, without code blocks, tables, headings and pictures."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    lines = ["" if re.match(r"\s*(\||#)", line) else line for line in text.splitlines()]
    text = re.sub(r"\n\s*([-*]|\d+\.) ", r"\n\n", "\n".join(lines))
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        found += re.split(r"(?<=[.!?])[)*\"]*\s+(?=[A-Z0-9(*\"]|code\b|vLLM\b)", " ".join(paragraph.split()))
    return [sentence for sentence in found if words(sentence)]


def words(sentence: str) -> int:
    """The number of words."""
    return sum(any(sign.isalnum() for sign in word) for word in sentence.split())


def test_sentences_are_found_beside_code_tables_and_lists():
    page = "# A title\n\nOne two. Three `a. B c` four!\nFive\n\n| not | this. |\n\n- six seven\n- Eight. [Nine](x.md)\n"
    page += "\n```sh\nnot this. Nor that.\n```\n"
    assert [words(sentence) for sentence in sentences(page)] == [2, 3, 1, 2, 1, 1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page):
    found = sentences(page.read_text(encoding="utf-8"))
    assert [sentence for sentence in found if words(sentence) > MOST] == []
    assert mean(map(words, found)) <= MEAN
