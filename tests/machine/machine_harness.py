"""One-layer programs in memory, for tests of the machine."""

from __future__ import annotations

import hashlib

import numpy as np

from npudsl.artifacts.blob import Blob
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, Requantization, TensorQuantization
from npudsl.machine.execute import Machine
from npudsl.numerics.requantize import requantize
from npudsl.numerics.types import element_type

PROFILES = ("exact", "tflite", "vip16", "vip24", "rk15", "nna")


class MemoryBlobs:
    """Array blobs by content, kept in a dictionary."""

    def __init__(self):
        self.arrays = {}

    def write_array(self, array):
        array = np.asarray(array)
        digest = hashlib.sha256(array.tobytes() + f"{array.dtype}{array.shape}".encode()).hexdigest()
        self.arrays[digest] = array
        return Blob(digest, array.nbytes, "npy")

    def read_array(self, blob):
        array = self.arrays[blob.digest].view()
        array.flags.writeable = False
        return array


def tensor(name, shape, type="u8", scale=0.05, zero_point=0, **others):
    """An affine tensor; with ``fractional_length`` a fixed-point one."""
    length = others.get("fractional_length")
    if length is not None:
        return TensorQuantization(name, tuple(shape), type, "dfp", 2.0**-length, 0, **others)
    scheme = "none" if type == "f32" else "asym"
    return TensorQuantization(name, tuple(shape), type, scheme, scale, zero_point, **others)


def random_codes(generator, tensor, stack=1):
    """Random codes for ``stack`` samples of a tensor, both ends of the type included."""
    element = element_type(tensor.type)
    shape = (tensor.shape[0] * stack, *tensor.shape[1:])
    codes = generator.integers(element.minimum, element.maximum + 1, shape)
    if codes.size > 2:
        codes.flat[0], codes.flat[-1] = element.minimum, element.maximum
    return codes.astype(element.storage)


def machine_of(layers, tensors, blobs, inputs=None, outputs=None, profile="exact"):
    """A machine for layers; inputs and outputs default to those of the first and last layer."""
    model = QuantizedModel(
        "model",
        "variant",
        profile,
        tuple(inputs if inputs is not None else layers[0].inputs),
        tuple(outputs if outputs is not None else layers[-1].outputs),
        {item.name: item for item in tensors},
        {},
        tuple(layers),
    )
    return Machine(model, blobs)


def run_one(operation, inputs, output, values, attributes=None, constants=None, requantize=()):
    """The output codes of a single layer; ``inputs`` and ``values`` go together."""
    blobs = MemoryBlobs()
    stored = {role: blobs.write_array(array) for role, array in (constants or {}).items()}
    if isinstance(requantize, Requantization):
        requantize = (requantize,)
    layer = IntegerLayer(
        "layer", operation, tuple(item.name for item in inputs), (output.name,), attributes or {}, stored, requantize
    )
    machine = machine_of([layer], [*inputs, output], blobs)
    named = {item.name: value for item, value in zip(inputs, values, strict=True)}
    return machine.run(named)[output.name]


def offsets(codes, tensor):
    """x - z as int64."""
    return codes.astype(np.int64) - tensor.zero_point


def apply_requantization(values, item, channel_axis=None):
    """The definition of requantization on int64 values."""
    return requantize(
        values, item.multipliers, item.shifts, item.rounding, item.zero_point, item.low, item.high, channel_axis
    )
