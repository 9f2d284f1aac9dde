"""What the agent sees: for each entry of `td3_hpc.spaces.OBSERVATION` one part that makes it, in a module of its name.

This package imports none of them by itself: a learner reads `vector`'s scales without the client library.

base.py      what a part is, and what it may look at
registry.py  which part makes which entry
image.py     the stack of the camera's frames
vector.py    speed, deviation from the route, waypoints ahead
"""
