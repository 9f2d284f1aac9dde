"""Files that anybody may have written: damaged, foreign, newer, too large, or of another kind than they say."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from td3_hpc.errors import BadInput
from td3_hpc.export import onnx_file
from td3_hpc.export.onnx_file import read_onnx, weights_digest


def altered(exported: Path, folder: Path, change: Callable[[Any], None], honest: bool = True) -> Path:
    """A copy whose model was changed; `honest`: the weights' digest is made to fit."""
    model = onnx.load(str(exported / "policy.onnx"))
    change(model)
    if honest:
        entry = next(item for item in model.metadata_props if item.key == "td3_hpc")
        old = onnx_file.Description.model_validate_json(entry.value)
        entry.value = old.model_copy(update={"weights_sha256": weights_digest(model)}).model_dump_json()
    path = folder / "altered.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def outside(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def larger(model: Any) -> None:
    model.graph.initializer[0].dims[0] *= 1000


def of_another_library(model: Any) -> None:
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def with_a_graph_inside(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", body))


CHANGES = {
    "lie in another file": outside,
    "are larger or smaller than they say": larger,
    "operators of other libraries": of_another_library,
    "holds a graph of its own": with_a_graph_inside,
    "holds the operator If": lambda model: setattr(model.graph.node[0], "op_type", "If"),
    "which its description does not say": lambda model: setattr(model.graph.input[0], "name", "other"),
    "holds functions": lambda model: model.functions.append(helper.make_function("d", "f", [], [], [], [])),
}


@pytest.mark.parametrize("problem", CHANGES)
def test_what_nobody_needs_is_refused(exported: Path, tmp_path: Path, problem: str):
    path = altered(exported, tmp_path, CHANGES[problem])
    with pytest.raises(BadInput, match=problem) as refused:
        read_onnx(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_weights_are_damage(exported: Path, tmp_path: Path):
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]

    with pytest.raises(BadInput, match="not those that were exported"):
        read_onnx(altered(exported, tmp_path, change, honest=False))


def test_a_newer_format_and_a_foreign_file_are_told_apart(exported: Path, tmp_path: Path):
    def newer(model: Any) -> None:
        model.metadata_props[-1].value = model.metadata_props[-1].value.replace('"format":1', '"format":2')

    def foreign(model: Any) -> None:
        del model.metadata_props[:]

    with pytest.raises(BadInput, match="has export format 2, and this version of td3-hpc knows formats up to 1"):
        read_onnx(altered(exported, tmp_path, newer, honest=False))
    with pytest.raises(BadInput, match="was not written by td3-hpc export, or is damaged"):
        read_onnx(altered(exported, tmp_path, foreign, honest=False))


def test_a_file_that_is_too_large_is_not_read(exported: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_file, "LARGEST", 1000)
    with pytest.raises(BadInput, match="where at most"):
        read_onnx(exported / "policy.onnx")


def test_no_file_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_onnx(tmp_path / "none.onnx")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_changed_or_cut_off_anywhere_never_give_another_policy(exported: Path, tmp_path: Path, data: Any):
    content = bytearray((exported / "policy.onnx").read_bytes())
    place = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(len(content) - 6000, len(content) - 1)))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content)
    whole = onnx.load(str(exported / "policy.onnx"))
    with contextlib.suppress(BadInput):
        read_onnx(path)  # it passes where the change lies in words that nothing depends on
        assert weights_digest(onnx.load(str(path))) == weights_digest(whole)
