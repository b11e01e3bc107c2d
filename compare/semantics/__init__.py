"""What batch normalisation does under each spelling: measured for the frameworks installed, recorded for others."""
