"""The page about a data set: what it draws is what the data set holds."""

import re

import pytest

from megatron_rfft.commands.show import main
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.inspection import packing_summary
from tests.pages.references import references


@pytest.fixture(scope="module")
def page(small_data, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("pages") / "data.html"
    options = ("--index", "0,7", "--sequence-length", "384", "--html", str(file))
    main(["--input", str(small_data.prefix), *options])
    return file.read_text()


def test_the_page_is_self_contained_and_has_the_totals(page, small_data):
    documents = Documents(small_data.prefix)
    assert references(page) == []
    totals = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert totals["documents"] == f"{len(documents):,}"
    assert totals["target tokens"] == f"{documents.manifest['counts']['target_tokens']:,}"
    assert totals["splits"] == f"train {len(documents)}"


def test_heat_maps_have_every_task_and_length(page):
    cells = re.findall(r"<title>(\w+), length (\d): (\d+)</title>", page)
    there = {("coin_flip", str(n)) for n in range(1, 5)} | {("length_int", str(n)) for n in range(2, 5)}
    assert {(task, length) for task, length, _ in cells} == there
    assert len(cells) == 2 * len(there)


def test_sequences_are_those_of_the_packing(page, small_data):
    packing = packing_summary(Documents(small_data.prefix), 384, 1234)
    assert f"{packing['sequences']:,} sequences of 384 tokens" in page
    drawn = re.findall(r'<div class="sequence">(.*?)</div>', page)
    assert len(drawn) == min(32, packing["sequences"])
    for sequence in drawn:
        tokens = [int(number) for number in re.findall(r"(\d+) tokens", sequence)]
        widths = [float(number) for number in re.findall(r"width:([\d.]+)%", sequence)]
        assert sum(tokens) <= 384
        assert widths == pytest.approx([100 * number / 384 for number in tokens], abs=1e-3)


def test_every_token_is_a_box_coloured_by_its_loss(page, small_data):
    documents = Documents(small_data.prefix)
    shown = re.findall(r'<pre class="tokens">(.*?)</pre>', page, re.DOTALL)
    assert len(shown) == 2
    for index, text in zip((0, 7), shown, strict=True):
        boxes = re.findall(r'<span( class="target")? title="(\d+): id (\d+)">', text)
        start = int(documents.rows["response_start"][index])
        assert [int(token) for _, _, token in boxes] == documents.tokens[index].tolist()
        assert [int(position) for target, position, _ in boxes if target] == list(range(start, len(boxes)))


def test_packing_is_left_out_unless_asked_for(small_data, tmp_path, capsys):
    file = tmp_path / "page.html"
    main(["--input", str(small_data.prefix), "--count", "0", "--html", str(file)])
    assert capsys.readouterr().out == f"{file}\n"
    assert "How they pack" not in file.read_text()
    assert "<h2>Documents</h2>" not in file.read_text()
