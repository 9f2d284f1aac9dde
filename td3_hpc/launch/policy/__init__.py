"""What becomes of a campaign's jobs, said in a few verbs by pure functions over the queue and the runs' files.

A job's script carries the verbs out (jobs/templates/admission.sh.j2). Neither torch nor carla is imported: a job asks
for its plan whenever it starts, also after a preemption.

verbs.py  what a script can be told
start.py  what a campaign's job does when it starts, and after its run has ended
chain.py  which stages are queued behind which
"""
