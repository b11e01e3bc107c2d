"""What a person names at the command line: models, data, losses and figures, from files and from their own code."""
