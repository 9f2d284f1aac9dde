"""What keeps any simulator alive, CARLA's or the embedded one: a supervisor beside each server, and its learner's side.

supervisor.py                 starts the server, watches it, restarts it    `python -m td3_hpc.supervision.supervisor`
supervisor_handle.py          the learner's side: start, address, what happened, recycle, close
remote_supervisor.py          a supervisor on another node;  remote_supervisor_handle.py  its learner's side
learner_link.py               how the two sides hear from each other
launch_command.py             how each kind of simulator is started;  child_group.py  its process group
readiness.py                  does a server really serve?  probe.py runs it;  heartbeat.py  is it still there?
restart_policy.py             when it is started again, and when not any more
ports.py                      blocks of ports, and who listens on them
server_log.py                 a log that never outgrows its limit
"""
