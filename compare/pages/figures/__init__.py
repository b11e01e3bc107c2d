"""Figures made of plain rows: for a run's report, and for one model's diagnosis."""
