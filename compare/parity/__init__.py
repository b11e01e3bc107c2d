"""Are two models the same: forward, gradients and training, stage by stage, in the order of the data.

This is the proof of the two reference networks; `compare.pair` is that of any two models. Both have the stages, the
figures, the bars, the twin and PyTorch's rules from here. What this one does and that one can't is why it stays:

- it knows BN policies: what trains, which statistics are used, what is re-estimated;
- it leaves dropout on, since both sides draw the same masks, where a person's own model has it off;
- it takes every step from the reference's own state, optimizer slots included, so that a difference of one step is
  no longer one of all that follow;
- it compares each layer on the reference's input as well as on its own, and says which framework is nearer to a
  float64 run;
- it compares any two backends, not only Keras and PyTorch.
"""
