"""Words that instances are made of: short, single, all different."""

NAMES = tuple(
    """
    Ada Alan Ali Amir Amy Ana Andy Anna Ari Asha Ava Axel Aya Bea Ben Beth Bill Bo Boris Brad Bruno Cara Carl Chen
    Chloe Clara Cora Dan Dana Dave Dawn Dean Dev Diego Dina Don Dora Drew Duc Ed Eli Ella Elsa Emil Emma Eric Erin
    Esme Eva Ezra Faye Felix Finn Flora Fred Gabe Gail Gina Glen Greta Gus Hal Hana Hank Hassan Heidi Hugo Ian Ida
    Igor Ines Ira Iris Isa Ivan Ivy Jack Jade Jan Jay Jean Jill Jin Joe John Jon Jose Joy Juan Judy June Kai Kara Karl
    Kate Ken Kim Kira Kofi Kurt Lars Lea Lee Lena Leo Lev Lia Lily Lin Lisa Liz Lola Lou Luca Lucy Luis Luke Mae Marc
    Mary Matt Max Maya Mei Mia Mike Mina Miro Moe Mona Nadia Nan Nate Ned Neil Nell Nick Nils Nina Noah Nora Olga Omar
    Oscar Otto Owen Pam Paul Petra Phil Pia Quinn Rafa Raj Ralph Ravi Ray Rita Rob Rosa Roy Ruth Sam Sana Sara Sean
    Sia Sid Tara Ted Theo Tina Tom Uma Vera Vic Wade Walt Wendy Xena Yara Yuri Zach Zoe
    """.split()  # noqa: SIM905
)

OBJECTS = tuple(
    """
    anchor apple arrow bag ball basket bead bell belt bike boat book boot bottle bowl box brick broom brush bucket
    button cake camera candle cap card carpet chain chair chalk clock cloth coat coin comb cookie cork crayon cup
    curtain desk dice dish doll door drum egg engine eraser fan feather fiddle file flag flute fork frame fridge gate
    glass glove glue guitar hammer hat helmet hook horn jacket jar jug kettle key kite knife ladder lamp leaf lemon
    letter lid light lock magnet map mask match mirror mitten mop mug nail napkin needle net nut onion oven paddle
    page paint pan paper pear pebble pen phone piano pillow pin pipe plate plug pot purse puzzle quilt radio rake ring
    robe rock rope ruler saddle sail saw scarf screw shell shoe shovel sink soap sock sofa spoon stamp stone stool
    stove string sword table tape tent ticket tile tool torch towel toy tray truck tube umbrella vase violin wagon
    wallet watch wheel whistle window wire zipper
    """.split()  # noqa: SIM905
)

# Where the skill is in the list and not in the words, fewer words let a small model learn them sooner.
FEW_NAMES = NAMES[::3]
FEW_OBJECTS = OBJECTS[: 2 * 64 : 2]
