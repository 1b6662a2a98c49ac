"""Adjectives by kind, the kinds in the order in which English puts them before a noun."""

ADJECTIVES = {
    kind: tuple(words.split())
    for kind, words in {
        "opinion": "awful beautiful good lovely mysterious nice obnoxious repulsive silly terrible ugly wonderful",
        "size": "big enormous gigantic huge large little massive medium small tall tiny wide",
        "age": "ancient antique aged brand-new medieval modern new old prehistoric recent vintage young",
        "shape": "circular conical cubic flat hexagonal oval pyramidal rectangular round spherical square triangular",
        "color": "black blue brown cyan gray green indigo orange pink purple red yellow",
        "origin": "Brazilian Canadian Chinese Egyptian Filipino German Indian Japanese Mexican Polish Thai Turkish",
        "material": "ceramic cotton fiberglass glass iron leather paper plastic rubber silver steel wooden",
        "purpose": "cooking dancing drinking driving eating hiking riding sewing sleeping smoking walking writing",
    }.items()
}
