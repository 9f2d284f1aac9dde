"""Stages as jobs: frozen, submitted, chained, watched. The one room that knows Slurm.

commands/    the command line of this room: submit, container, campaign, preflight, doctor, status, logs, cancel
jobs/        one job: what is frozen for it, its script, handing it to Slurm, what Slurm knows of it
policy/      what a campaign's jobs do, as pure functions
campaigns/   a campaign as a chain of jobs, and going on after a correction
runs/        what is going on: status, logs, cancel
preflight/   every mistake before anything is queued
doctor/      one short job that measures the nodes
site_rules.py  what known sites (sites/) ask of a job, applied to a profile
images.py    building the container images
"""
