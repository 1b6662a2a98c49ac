"""Everyday things by kind: no word belongs to two kinds."""

KINDS = {
    kind: tuple(words.split())
    for kind, words in {
        "fruits": """
            apple apricot banana blackberry cherry fig grape kiwi lemon lime mango melon nectarine orange papaya peach
            pear pineapple plum strawberry""",
        "animals": """
            bear camel cat cow deer dog donkey duck elephant fox frog goat horse lion mouse rabbit sheep snake tiger
            zebra""",
        "instruments": """
            accordion banjo bassoon cello clarinet cymbal drum fiddle flute guitar harp lute mandolin oboe piano
            saxophone trombone trumpet viola xylophone""",
        "vegetables": """
            artichoke asparagus beet broccoli cabbage carrot cauliflower celery eggplant fennel garlic kale leek
            lettuce onion potato pumpkin radish spinach turnip""",
    }.items()
}
