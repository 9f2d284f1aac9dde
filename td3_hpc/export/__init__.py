"""Taking a trained policy away: files that need neither this package's configuration nor CARLA.

description.py  what stands in an exported file beside the weights
onnx_file.py    reading an ONNX file that anybody may have written, without running code of it
policy.py       a loaded policy that answers observations
network.py      the policy's network as ONNX
card.py         the model card
command.py      `td3-hpc export`: from a checkpoint to a folder of files
"""
