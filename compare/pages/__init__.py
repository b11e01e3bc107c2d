"""How anything becomes a page: one renderer, one base template, one style, and the figures that stand in pages."""
