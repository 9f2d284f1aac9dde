"""Learning curves: this package's runs beside Stable-Baselines3's TD3 on the same task.

stable_baselines3.py   trains the peer on a stage, seed by seed
curves.py              draws both, by steps and by wall time
"""
