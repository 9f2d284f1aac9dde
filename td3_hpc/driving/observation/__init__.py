"""What the agent sees: for each entry of `td3_hpc.spaces.OBSERVATION` one part that makes it, in a module of its name.

`base.ObservationPart` is what a part does, `registry.PARTS` lists them. This package imports neither by itself: a
learner reads `vector`'s scales without the client library.
"""
