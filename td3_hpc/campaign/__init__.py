"""Stages in a row, each of which must earn the next.

plan.py        every stage's whole configuration, from the campaign's file
directory.py   a campaign's directory: what was submitted, the ledger of what was decided, its runs
admission.py   may a stage begin? Read from the verdicts of the stages before it
carry_over.py  a stage that continues the one before
remedy.py      what a NO-GO verdict suggests, as a change of the campaign's file
progress.py    how far a run has come
"""
