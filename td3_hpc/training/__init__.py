"""The training program: the loop, and what survives an interruption.

run.py          one stage from its configuration to its exit code;  attempt.py  one attempt at it
loop.py         the steps: act, update while the simulator ticks, collect;  env_slot.py  one environment of them
exploration.py  how the next actions are found: at random, or by the policy with noise
simulation.py   an environment worker and its simulator, replaced when lost
state.py        the run as a checkpoint's tree, and back;  descriptions.py  what its entries are
signals.py      one flag for every way of being asked to stop;  policy_motion.py  whether the policy still moves
seeding.py, device.py;  pretrained.py  the file of an encoder that a run begins with
evaluation/     the deterministic policy on held-out routes, and `td3-hpc evaluate`
monitors/       limits whose crossing is an alert, and who is told
telemetry/      what is measured, at which rate, and where it goes
"""
