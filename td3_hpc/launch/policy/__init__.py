"""What becomes of jobs, said in a few verbs by pure functions over the queue, the runs' files and exit statuses.

A job's script carries the verbs out (jobs/templates/). Neither torch nor carla is imported: a campaign's job asks for
its plan whenever it starts, also after a preemption.

verbs.py  what a script can be told
start.py  what a campaign's job does when it starts
end.py    what follows each exit status of any job's step, and what it cannot begin without
chain.py  which stages are queued behind which
"""
