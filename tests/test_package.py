"""What importing the package sets up."""

import os
import subprocess
import sys

SHOW = "import td3_hpc, os; print(os.environ['GOMP_SPINCOUNT'])"


def test_without_a_home_the_client_library_still_loads():
    inherited = {name: value for name, value in os.environ.items() if name != "HOME"}
    command = [sys.executable, "-c", "import td3_hpc, os, carla; print(os.environ['HOME'])"]
    result = subprocess.run(command, env=inherited, capture_output=True, text=True)

    assert (result.returncode, result.stdout.strip()) == (0, os.path.expanduser("~")), result.stderr


def test_pytorchs_threads_hardly_spin_unless_the_user_says_so():
    def spin_count(**environment):
        inherited = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
        command = [sys.executable, "-c", SHOW]
        return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True).stdout

    assert spin_count() == "1000\n"
    assert spin_count(GOMP_SPINCOUNT="7") == "7\n"
