"""What tests share: models, runs, weight files and fakes."""
