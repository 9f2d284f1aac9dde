"""The long run on the test cluster, and what disturbs it."""
