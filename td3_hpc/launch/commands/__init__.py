"""The command line of this room; each command imports what it needs only when it runs.

submit.py    td3-hpc submit, container
campaign.py  td3-hpc campaign submit | resume | status | cancel, and plan
cluster.py   td3-hpc cluster check
checks.py    td3-hpc preflight, doctor
runs.py      td3-hpc status, logs, cancel
"""
