"""One job: what is frozen for it, its script, handing it to Slurm, and what Slurm knows of it.

freeze.py          configuration, code and image are fixed at submission
campaign_files.py  the same for all stages of a campaign, and their gates
script.py          the job's script, from templates/
lock.py            queueing jobs one at a time
submission.py      a stage as a job;  submitit_job.py  by submitit;  foreground.py  without Slurm
slurm.py           Slurm's own commands;  job_states.py  what it says of jobs
"""
