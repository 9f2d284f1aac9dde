"""The driving task: a Gymnasium environment on the unmodified `carla` client, and the worker process that hosts it.

`environment.DrivingEnv` is the environment; `worker_handle.EnvironmentWorker` is a learner's side of one that runs in
a process of its own. This package imports neither by itself, so that a learner never loads the client library.

environment.py           reset, step, reward, end of an episode
worker.py                the process that hosts an environment;  worker_handle.py  the learner's side of it
client_session.py        the connection to a simulator, and the world as an episode needs it
lanes.py                 the lanes of a town, and what follows each
route.py                 routes of a town, and the way along one
observation/             what the agent sees, one part for each entry;  sensors.py  CARLA's sensors on the ego
ego.py                   where the ego is and how it moves
shared_observation.py    how an observation lies in the memory that worker and learner share
reward.py                the reward and its components
proximity.py             who is near;  hazard.py  how far ahead the way is taken;  red_lights.py  stop lines on the way
situations/              what is in the ego's way for a while
blueprints.py            what a simulator offers by name
traffic.py               other vehicles;  traffic_manager_wait.py  a wait for the Traffic Manager that ends
episode.py, episode_log.py  an episode's figures, and the log that rebuilds it
pure_pursuit.py          a driver without learning
film.py                  an episode as a film
"""
