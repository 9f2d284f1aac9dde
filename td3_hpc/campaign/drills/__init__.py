"""Drills: known failures, caused on purpose and from outside, to see that each is caught.

drill.py          what a drill is, and the list of them
training_run.py   a training process as a user starts it, watched from outside
table.py          running drills and printing what came of them
configuration.py, explosion.py, networks.py, checkpoints.py, simulators.py, preemption.py: the drills
proxy.py          a TCP proxy that can swallow what a simulator answers

The one drill that needs Slurm, a lost node, is in td3_hpc/launch/node_lost.py.
"""
