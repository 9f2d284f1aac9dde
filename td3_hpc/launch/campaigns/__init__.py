"""A campaign as a chain of jobs.

chain.py    all stages are queued at once, in order
resume.py   going on after a correction, with passed stages left as they are
fix.py      the remedy of a NO-GO verdict: shown, put into the campaign's file, resumed
"""
