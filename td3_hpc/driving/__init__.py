"""The driving task: a Gymnasium environment on the unmodified `carla` client, and the worker process that hosts it.

`environment.DrivingEnv` is the environment; `worker_handle.EnvironmentWorker` is a learner's side of one that runs in
a process of its own. This package imports neither by itself, so that a learner never loads the client library.
"""
