"""A diagnosis as people see it: in a terminal, in a notebook, on a page of its own."""
