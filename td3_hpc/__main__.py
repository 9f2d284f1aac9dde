"""`python -m td3_hpc` is `td3-hpc`."""

from td3_hpc.entry import main

main()
