"""Reading an ONNX file that anybody may have written.

ONNX holds a graph of named operators and no code of its own, but a file may name operators of other libraries, or data
in other files, and say that it is larger than it is. Only what `td3-hpc export` writes is let through.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto
from pydantic import ValidationError

from td3_hpc.errors import BadInput
from td3_hpc.export.description import FORMAT, KEY, Description

LARGEST = 512 * 2**20
"""Bytes of a file; the shipped network has 8 million."""
OPERATORS = {
    "Add",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "Div",
    "Elu",
    "Flatten",
    "Gelu",
    "Gemm",
    "GroupNormalization",
    "Identity",
    "LayerNormalization",
    "LeakyRelu",
    "MatMul",
    "Mul",
    "Pow",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
}
"""Of ONNX's own domain; none looks at a file or calls anything."""
_BYTES = {TensorProto.FLOAT: 4, TensorProto.INT64: 8, TensorProto.INT32: 4, TensorProto.UINT8: 1, TensorProto.BOOL: 1}


def read_onnx(path: Path) -> tuple[bytes, Description]:
    """The file's bytes, checked, and its description. Raises BadInput in one line for anything else."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise BadInput(f"{path}: {size / 2**20:.0f} MiB, where at most {LARGEST // 2**20} are read")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); give a file of td3-hpc export") from None
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise BadInput(f"{path}: is no ONNX file, or a damaged one; export the run again") from None
    description = _description(path, model)
    problem = _problem(model) or _other_interface(model, description)
    if problem:
        raise BadInput(f"{path}: {problem}; only what td3-hpc export writes is loaded")
    if weights_digest(model) != description.weights_sha256:
        raise BadInput(f"{path}: its weights are not those that were exported: damaged; export the run again")
    return content, description


def weights_digest(model: Any) -> str:
    """SHA-256 over the names and bytes of a model's weights."""
    digest = hashlib.sha256()
    for tensor in model.graph.initializer:
        digest.update(f"{tensor.name}\0{len(tensor.raw_data)}\0".encode())
        digest.update(tensor.raw_data)
    return digest.hexdigest()


def _description(path: Path, model: Any) -> Description:
    texts = [item.value for item in model.metadata_props if item.key == KEY]
    if len(texts) != 1 or not isinstance(texts[0], str):  # bytes where they are no UTF-8
        raise BadInput(f"{path}: was not written by td3-hpc export, or is damaged; export the run again")
    try:
        found = Description.model_validate_json(texts[0])
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise BadInput(f"{path}: its description is damaged, or of a later version ({problem})") from None
    if found.format > FORMAT:
        raise BadInput(
            f"{path}: has export format {found.format}, and this version of td3-hpc knows formats up to {FORMAT}; load "
            "it with the version that wrote it, or a later one"
        )
    return found


def _problem(model: Any) -> str:
    """What in a model nobody needs who loads a policy, in words; empty where there is nothing."""
    if model.functions or model.training_info or model.graph.sparse_initializer:
        return "it holds functions, training information or sparse weights"
    if any(item.domain for item in model.opset_import):
        return "it asks for operators of other libraries"
    for node in model.graph.node:
        if node.domain or node.op_type not in OPERATORS:
            return f"it holds the operator {node.domain + '.' if node.domain else ''}{node.op_type}"
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            return f"its operator {node.op_type} holds a graph of its own"
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    for tensor in tensors:
        if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
            return f"its weights {tensor.name} lie in another file"
        width = _BYTES.get(tensor.data_type)
        if width is None:
            return f"its weights {tensor.name} are of an unknown type"
        if tensor in model.graph.initializer and len(tensor.raw_data) != width * math.prod(tensor.dims):
            return f"its weights {tensor.name} are larger or smaller than they say"
    return ""


def _other_interface(model: Any, description: Description) -> str:
    """Whether inputs and outputs are others than the description says, in words."""
    takes = [item.name for item in model.graph.input]
    gives = [item.name for item in model.graph.output]
    if takes != [entry.name for entry in description.observation] or gives != [description.action.name]:
        return f"it takes {', '.join(takes)} and gives {', '.join(gives)}, which its description does not say"
    return ""
