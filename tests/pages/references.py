"""What a page would fetch from elsewhere."""

import re
from html.parser import HTMLParser


class _References(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name) for name, value in attrs if name in ("src", "srcset", "data", "action", "poster")]
        self.found += [(tag, value) for name, value in attrs if name.endswith("href") and not value.startswith("#")]
        self.found += [(tag, "tag") for _ in [0] if tag in ("script", "link", "iframe", "img", "object")]


def references(page: str) -> list[tuple[str, str]]:
    """Whatever a browser would fetch, and any address in the text."""
    parser = _References()
    parser.feed(page)
    found = parser.found + [("css", match) for match in re.findall(r"@import|url\((?!#)", page)]
    plain = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    return found + [("text", match) for match in re.findall(r"\S*://\S*", plain)]
