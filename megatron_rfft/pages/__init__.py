"""How pages and figures look, whatever they tell: one style, one frame of a page, one way to draw."""
