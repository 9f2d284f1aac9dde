"""The long run: what disturbs it on the test cluster, and what each disturbance cost."""
