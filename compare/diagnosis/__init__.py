"""Why fit and evaluate part in a person's own model.

`diagnosis` is where it starts. The data are read and looked at (`data`, `looking`, `passes`), everything is measured
(`measuring`, with `probes`, `ordering` and `mixing`), and the case is judged (`judging`): the gap as a sum (`terms`),
what each term is (`switching`, `stored`), what makes figures unreliable (`modes`), what was reported (`said_in_fit`,
`said_in_evaluation`), evaluation's own data (`elsewhere`), and metrics (`resolving`). `side` is what a framework
answers; `case`, `measured` and `records` hold what these files share; `cures` say what to do, and `show` shows it.
"""
