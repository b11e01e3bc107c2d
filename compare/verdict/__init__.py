"""What a gap comes to: the finding, its cause, its cures, and the sentence that says so."""
