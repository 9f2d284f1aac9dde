"""What is watched while a run goes on.

limits.py              the limits whose crossing is an alert
alerts.py              raised once, over once
growth.py              exponential growth of gradient norms, called before the limit
action_effects.py      stored actions against what they changed
mechanism_sampling.py  which updates are recomputed
finite.py              NaN and infinity stop the run
notify.py              alerts to a command or a webhook
"""
