"""A CNN trained beforehand to say how near what is ahead is, so that a policy on two cores learns from pictures.

drives.py        drives of the scripted driver, with noise: pictures, and what was ahead
fitting.py       the encoder `distances`, fitted to them
command.py       `td3-hpc pretrain`
"""
