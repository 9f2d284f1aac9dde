"""The training program: the loop, evaluation, telemetry and what survives an interruption.

run.py         one stage from its configuration to its exit code
loop.py        the steps: act, update while the simulator ticks, collect
evaluation.py  the deterministic policy on held-out routes
simulation.py  an environment worker and its simulator, replaced when lost
telemetry.py   what is measured, at which rate, and where it goes
record.py      the append-only record of the run
state.py       the run as a checkpoint's tree, and back
monitors.py    limits whose crossing is an alert
signals.py     one flag for every way of being asked to stop
"""
