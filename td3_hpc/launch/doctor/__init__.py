"""One short job on the real nodes that measures what can only be learnt there.

result.py        what was measured, kept as JSON beside the profile's runs
examination.py   on the login node: queue the job, signal it, collect the result
probe.py         in the job: one measurement after another, then the signals, then the restart
measurements.py  the registry of measurements; node.py, vulkan.py, files.py, training.py hold them by concern
context.py       what measurements share
notes.py         what the job tells the doctor, through files
"""
