"""The cells of a run: the grid, one training after another, and the run directory that keeps them."""
