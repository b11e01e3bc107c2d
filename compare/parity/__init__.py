"""Are two models the same: forward, gradients and training, stage by stage, in the order of the data."""
