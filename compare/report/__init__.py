"""What a person gets to see of a run: the table in the terminal, the figures and the HTML page."""
