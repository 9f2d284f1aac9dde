"""Damaged and hostile files give an error: never a crash, and never more memory than the file justifies.

They are read by a process of its own, so that a crash is seen; Hypothesis then finds the smallest file that does it.
"""

import subprocess
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.checkpoint.hdf5_file import table_image, tree_image, write_file
from tests.checkpoint.rows import content, tree
from tests.paths import ROOT

READER = """
import sys
from pathlib import Path
from td3_hpc.checkpoint import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import read_table, read_tree
print("ready", flush=True)
for line in sys.stdin:
    path, answers = Path(line.rstrip()), []
    for read in (read_tree, lambda path: read_table(path, 0, 50)):
        try:
            read(path)
            answers.append("read")
        except CheckpointDamaged as error:
            answers.append("damaged" if str(path) in str(error) else f"unnamed {error}")
    # getrusage's figure would include what the parent held when it forked
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    print(*answers, int(peak.split()[1]) // 1024, flush=True)
"""
MEMORY_MB = 300
"""More than the reader needs for itself, far less than the files below claim."""


class Reader:
    def __init__(self):
        self.process = None

    def read(self, path):
        """The two answers; fails where the reader crashed."""
        if self.process is None:
            command = [sys.executable, "-c", READER]
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)
            assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            status, self.process = self.process.wait(), None
            pytest.fail(f"the reader ended with {status}")
        assert int(answer[-1]) < MEMORY_MB, f"the reader took {answer[-1]} MB"
        assert set(answer[:-1]) <= {"read", "damaged"}, answer
        return answer[:-1]

    def close(self):
        if self.process is not None:
            self.process.communicate()


@pytest.fixture(scope="module")
def reader():
    one = Reader()
    yield one
    one.close()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A file of each kind, and one in HDF5's oldest format, whose inner parts have no checksums."""
    directory = tmp_path_factory.mktemp("originals")
    write_file(directory / "tree", tree_image(tree(4), {"*": ("anything", "1")}))
    write_file(directory / "table", table_image(content(0, 50), 0, compress=False))
    write_file(directory / "compressed", table_image(content(0, 50), 0, compress=True))
    with h5py.File(directory / "oldest", "w", libver="earliest") as file:
        file.attrs["format"] = 1
        file.attrs["first_row"] = 0
        for number in range(20):
            group = file.create_group(f"group {number}")
            group.create_dataset("chunked", data=np.arange(300), chunks=(50,))
            group.create_dataset("whole", data=np.arange(30.0)).attrs["unit"] = "m"
    return {path.name: path.read_bytes() for path in directory.iterdir()}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["byte", "zeros", "ones", "number", "cut", "move"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 2**64 - 1),
    ),
    min_size=1,
    max_size=6,
)


def mutated(data, changes):
    data = bytearray(data)
    for kind, where, number in changes:
        at = int(where * len(data))
        if kind == "byte":
            data[at] = number % 256
        elif kind in ("zeros", "ones"):
            count = number % 16 + 1
            data[at : at + count] = (b"\0" if kind == "zeros" else b"\xff") * len(data[at : at + count])
        elif kind == "number":
            data[at : at + 8] = number.to_bytes(8, "little")[: len(data[at : at + 8])]
        elif kind == "cut" and len(data) > 200:
            del data[at:]
            data.append(0)
        else:
            data[at : at + 32] = data[number % len(data) :][: len(data[at : at + 32])]
    return bytes(data)


def check_mutated(reader, originals, tmp_path_factory, examples):
    path = tmp_path_factory.mktemp("mutated") / "file.h5"

    @settings(max_examples=examples)
    @given(st.sampled_from(sorted(originals)), CHANGES)
    def check(name, changes):
        path.write_bytes(mutated(originals[name], changes))
        reader.read(path)

    check()


def test_mutated_files(reader, originals, tmp_path_factory):
    check_mutated(reader, originals, tmp_path_factory, 300)


@pytest.mark.long
def test_very_many_mutated_files(reader, originals, tmp_path_factory):
    check_mutated(reader, originals, tmp_path_factory, 20_000)


DTYPES = [
    "u1",
    "<i8",
    ">i4",
    "<f2",
    "<f8",
    "S7",
    "?",
    "O",
    "V8",
    "<U4",
    "c16",
    [("a", "<i4"), ("b", "<f8")],
    ("<i4", (3,)),
]
SIDES = st.one_of(st.integers(0, 60), st.sampled_from([2**16, 2**31, 2**40, 2**62]))
ATTRIBUTES = ["format", "first_row", "none", "text", "description"]
VALUES = [1, 0, True, "text", b"x" * 300, np.arange(50), np.zeros(0), 1.5, h5py.Empty("f4"), np.array([b"a", b"bc"])]
DATASETS = st.fixed_dictionaries(
    {
        "shape": st.lists(SIDES, max_size=4).map(tuple),
        "dtype": st.sampled_from(DTYPES),
        "layout": st.sampled_from(["whole", "chunked", "resizable", "gzip", "blosc", "szip-like shuffle"]),
        "attributes": st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(VALUES), max_size=3),
        "link": st.sampled_from(["none", "hard", "soft", "external", "group in itself"]),
        "libver": st.sampled_from(["earliest", "latest"]),
    }
)


def craft(path, item):
    options = {
        "whole": {},
        "chunked": {"chunks": tuple(max(1, min(side, 16)) for side in item["shape"])},
        "resizable": {"maxshape": (None,) * len(item["shape"])},
        "gzip": {"compression": "gzip"},
        "blosc": hdf5plugin.Blosc(cname="lz4"),
        "szip-like shuffle": {"shuffle": True, "fletcher32": True},
    }[item["layout"]]
    with h5py.File(path, "w", libver=item["libver"]) as file:
        file.attrs["format"] = 1
        file.attrs["first_row"] = 0
        group = file.create_group("group")
        dtype = h5py.string_dtype() if item["dtype"] == "O" else item["dtype"]
        try:
            target = file.create_dataset("data", item["shape"], dtype, **options)
        except (ValueError, TypeError, OSError, OverflowError, MemoryError):  # h5py itself refuses to make it
            target = file.create_dataset("data", data=0)
        for name, value in item["attributes"].items():
            for holder in (target, group, file):
                holder.attrs[name] = value
        if item["link"] == "hard":
            file["again"] = target
        elif item["link"] == "soft":
            file["again"] = h5py.SoftLink("/data")
        elif item["link"] == "external":
            file["again"] = h5py.ExternalLink("/etc/passwd", "/")
        elif item["link"] == "group in itself":
            for name in "abcdefgh":
                group[name] = group


def test_crafted_files(reader, tmp_path_factory):
    path = tmp_path_factory.mktemp("crafted") / "file.h5"

    @settings(max_examples=300)
    @given(DATASETS)
    def check(item):
        craft(path, item)
        reader.read(path)

    check()


def test_a_number_called_text_is_no_allocation(reader, tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = 1
        file.create_dataset("x", data=10**11).attrs["text"] = True
    assert reader.read(path)[0] == "damaged"


def test_zeros_packed_a_thousandfold_are_no_allocation(reader, tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = 1
        file.attrs["first_row"] = 0
        file.create_dataset("x", (50, 1 << 26), "u1", chunks=(1, 1 << 24), **hdf5plugin.Blosc(cname="lz4"))
        for row in range(50):
            file["x"][row] = np.zeros(1 << 26, np.uint8)
    assert reader.read(path) == ["damaged", "damaged"]


@pytest.mark.parametrize("kind", ["directory", "empty", "text"])
def test_what_is_no_hdf5_at_all(reader, tmp_path, kind):
    path = tmp_path / "file.h5"
    if kind == "directory":
        path.mkdir()
    else:
        path.write_text("" if kind == "empty" else "state: 1\n" * 1000)
    assert reader.read(path) == ["damaged", "damaged"]
