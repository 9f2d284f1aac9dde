"""Drills: known failures, caused on purpose and from outside, to see that each is caught.

cli.py            `td3-hpc drill`
drill.py          what a drill is;  drill_list.py  the list of them, in the table's order
training_run.py   a training process as a user starts it, watched from outside
table.py          running drills and printing what came of them
configuration.py, explosion.py, learning.py, pictures.py, networks.py, checkpoints.py, simulators.py, preemption.py,
node_lost.py:     the drills
proxy.py          a TCP proxy that can swallow what a simulator answers
"""
