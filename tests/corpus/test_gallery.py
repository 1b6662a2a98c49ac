"""The gallery in examples/ is what the registry gives now."""

from megatron_rfft.corpus.gallery import gallery_pages, sparkline, write_gallery
from megatron_rfft.tasks import list_tasks
from tests.conftest import ROOT

GALLERY = ROOT / "examples/gallery"


def test_the_gallery_is_current():
    pages = dict(gallery_pages())
    found = {path.relative_to(GALLERY).as_posix(): path.read_text(encoding="utf-8") for path in GALLERY.rglob("*.md")}
    stale = [name for name in {*pages, *found} if pages.get(name) != found.get(name)]
    assert stale == [], "run rfft gallery"
    assert len(pages) == len(list_tasks()) + 1


def test_pages_of_tasks_that_are_gone_are_removed(tmp_path, monkeypatch):
    import megatron_rfft.corpus.gallery as module

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "gone.md").write_text("gone")
    monkeypatch.setattr(module, "gallery_pages", lambda: iter([("code/one.md", "one\n"), ("README.md", "index\n")]))
    write_gallery(tmp_path)
    assert {path.name for path in tmp_path.rglob("*.md")} == {"one.md", "README.md"}


def test_sparkline():
    assert sparkline([1, 40, 80]) == "▁▄█"
