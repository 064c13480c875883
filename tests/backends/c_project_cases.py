"""Random programs for tests of the c-project exporter: many independent layers in one model, so that one compile tests
them all. Every layer has inputs and an output of its own; expected values come from the numpy machine."""

from __future__ import annotations

import hashlib
import math
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np

from npudsl.artifacts.blob import Blob
from npudsl.artifacts.export_bundle import ExportRequest, GoldenRun
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, Requantization, TensorQuantization
from npudsl.backends.c_project import export
from npudsl.machine.execute import Machine
from npudsl.numerics.types import element_type

ROUNDINGS = ("half_even", "half_away", "half_up", "double")
EIGHT_BITS = ("u8", "i8")
TYPES = ("u8", "i8", "i16")


class Blobs:
    """Array blobs by content."""

    def __init__(self):
        self.arrays = {}

    def write_array(self, array):
        array = np.ascontiguousarray(array)
        digest = hashlib.sha256(array.tobytes() + f"{array.dtype}{array.shape}".encode()).hexdigest()
        self.arrays[digest] = array
        return Blob(digest, array.nbytes, "npy")

    def read_array(self, blob):
        return self.arrays[blob.digest]


class Cases:
    """A program under construction, with random codes for its inputs."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.blobs = Blobs()
        self.tensors = {}
        self.layers = []
        self.inputs = []
        self.values = {}

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def number(self, low, high):
        """A random integer, both ends included."""
        return int(self.random.integers(low, high + 1))

    def codes(self, type_name, shape):
        element = element_type(type_name)
        codes = self.random.integers(element.minimum, element.maximum + 1, shape)
        if codes.size > 2:
            codes.flat[0], codes.flat[-1] = element.minimum, element.maximum
        return codes.astype(element.storage)

    def zero_point(self, type_name):
        """Any code that a range with zero can give, the ends included."""
        element = element_type(type_name)
        if type_name == "i16":
            return self.pick(0, self.number(-300, 300), element.minimum, element.maximum)
        return self.pick(self.number(element.minimum, element.maximum), element.minimum, element.maximum, 0)

    def tensor(self, name, shape, type_name, zero_point=None, scale=0.05):
        point = self.zero_point(type_name) if zero_point is None else zero_point
        tensor = TensorQuantization(name, tuple(shape), type_name, "asym", scale, point)
        self.tensors[name] = tensor
        return tensor

    def input(self, shape, type_name, zero_point=None, scale=0.05):
        tensor = self.tensor(f"input/{len(self.inputs)}", shape, type_name, zero_point, scale)
        self.inputs.append(tensor.name)
        self.values[tensor.name] = self.codes(type_name, shape)
        return tensor

    def requantization(self, type_name, largest, channels=1, rounding=None, zero_point=None):
        """Multipliers that bring sums of up to ``largest`` to about the size of the type, sometimes far too large."""
        element = element_type(type_name)
        rounding = rounding or self.pick(*ROUNDINGS)
        style = self.pick("affine", "affine", "affine", "shift", "narrow")
        multipliers, shifts = [], []
        for _ in range(channels):
            target = 2.0 ** self.number(element.bits - 4, element.bits + 1)
            real = target / largest
            width = {"affine": 31, "shift": 1, "narrow": 16}[style]
            width = min(width, 62 - max(int(largest), 1).bit_length())
            exponent = math.frexp(real)[1]
            shift = min(max(width - exponent, -31), 62)
            low, high = 1 << (width - 1), (1 << width) - 1
            multipliers.append(self.number(low, high))
            shifts.append(shift)
        point = self.zero_point(type_name) if zero_point is None else zero_point
        low, high = element.minimum, element.maximum
        if self.number(0, 3) == 0:
            low, high = max(low, min(point, high)), high - self.number(0, 3)
            low = min(low, high)
        return Requantization(tuple(multipliers), tuple(shifts), rounding, point, low, high)

    def layer(self, operation, inputs, shape, type_name, *, attributes=None, constants=None, requantize=(), point=None):
        """Add a layer; its output gets the zero point of the requantization, or ``point``."""
        number = len(self.layers)
        requantize = (requantize,) if isinstance(requantize, Requantization) else tuple(requantize)
        zero_point = requantize[0].zero_point if requantize else point
        output = self.tensor(f"{operation}/{number}:0", shape, type_name, zero_point)
        stored = {role: self.blobs.write_array(array) for role, array in (constants or {}).items()}
        layer = IntegerLayer(
            f"{operation}/{number}",
            operation,
            tuple(item.name for item in inputs),
            (output.name,),
            attributes or {},
            stored,
            requantize,
        )
        self.layers.append(layer)
        return output

    def model(self, outputs=None, profile="exact"):
        made = [layer.outputs[0] for layer in self.layers]
        return QuantizedModel(
            "cases", "test", profile, tuple(self.inputs), tuple(outputs or made), self.tensors, {}, tuple(self.layers)
        )


def offset_limit(tensor):
    """max|x - z|."""
    element = element_type(tensor.type)
    return max(element.maximum - tensor.zero_point, tensor.zero_point - element.minimum)


def golden_values(model, blobs, values):
    """Codes of every tensor, by the numpy machine."""
    return {**values, **Machine(model, blobs).run(values, keep="all")}


def request_for(model, blobs, values, name="cases", options=None, golden=None):
    golden = golden_values(model, blobs, values) if golden is None else golden
    return ExportRequest(
        name=name,
        options=options or {},
        model=None,
        quantized=model,
        reader=blobs,
        golden=GoldenRun(golden),
        subject="target[host].export[c]",
    )


def write_project(bundle, folder):
    for path, data in bundle.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


def export_to(folder, model, blobs, values, name="cases", options=None):
    """Export a model with its known answer; returns the bundle."""
    bundle = export(request_for(model, blobs, values, name, options))
    write_project(bundle, folder)
    return bundle


def compiler():
    """Path of gcc, or None."""
    return shutil.which("gcc")


def make(folder, *arguments):
    """Run make in a project; output and exit status."""
    done = subprocess.run(
        ["make", "-j2", f"CC={compiler()}", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return SimpleNamespace(status=done.returncode, text=done.stdout + done.stderr)


def run(folder, *arguments):
    """Run the program of a project."""
    done = subprocess.run([str(item) for item in arguments], cwd=folder, capture_output=True, text=True, check=False)
    return SimpleNamespace(status=done.returncode, text=done.stdout + done.stderr)
