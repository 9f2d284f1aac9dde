"""What is measured, at which rate, and where it goes.

telemetry.py        every step and update in, summaries out: record, TensorBoard, console
accumulator.py      means, extremes and counts of an interval
replay_contents.py  what the replay buffer holds, in numbers
tensorboard.py      event files that are cut back on resume;  console.py  what a person sees
"""
