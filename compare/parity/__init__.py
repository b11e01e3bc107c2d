"""Are two models the same: forward, gradients and training, stage by stage, in the order of the data.

This is the proof of the two reference networks; `compare.pair` is that of any two models, and the reference networks
are one case of it (`tests/pair/test_reference.py`). Both, and a port's proof, have one class for their processes, one
comparison of arrays, one set of bars and twins, PyTorch's rules and the certificate's reading from below or from here.
What this one does and that one can't is why it stays:

- it knows BN policies: what trains, which statistics are used, what is re-estimated;
- it leaves dropout on, since both sides draw the same masks, where a person's own model has it off;
- it takes every step from the reference's own state, optimizer slots included, so that a difference of one step is
  no longer one of all that follow, and native numerics are predicted at every step and not at the first alone;
- it steps as `fit` does, in the graph that Keras compiles, where a person's own model steps eagerly;
- it knows layers by their names, so that each is compared on the reference's input as well as on its own, and says
  which framework is nearer to a float64 run;
- it compares any two backends and computes on any device, not Keras and PyTorch on processors alone;
- its free run is held to ten times what its twins show, evaluated after each step: the reference networks were measured
  for that, and of a person's own network nobody knows whether its rounding stays that near to a twin's.
"""
