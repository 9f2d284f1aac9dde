"""Driving held-out routes.

cycle.py      an evaluation cycle: whole episodes by the deterministic policy;  trace.py  what is kept of it to look at
command.py    `td3-hpc evaluate`;  printout.py  what it prints
policies.py   who drives: a trained policy, or one for scale;  references.py  those for scale, kept from run to run
picture.py    whether the policy uses its picture;  kept_episodes.py  drives that may be interrupted
values.py     what the policy's critic expected, and what the policy earned
measures.py   the field's measures, with intervals
"""
