"""Write LSTM, GRU and RNN out as matrix products, gates and element-wise arithmetic, one step of the sequence after
the other.

That is what NPU compilers do with them: the gates become layers with ranges of their own, and state comes in and goes
out as ordinary tensors. All products with the input sequence are one MatMul; per step there is one MatMul with the
state. Nodes are named after the operator: ``lstm/input``, ``lstm/3/gates`` (step 3), ``lstm/backward/3/cell``.

Not written out (the operator stays, and a check names it): sequence lengths that differ from the input's, peepholes,
clipping, coupled gates, activations with parameters, batch-first layout, and sequences of more than ``LONGEST`` steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node, TensorType

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LONGEST = 256
"""Steps of a sequence that are written out."""

DEFAULT_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
ACTIVATIONS = frozenset({"Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", "HardSigmoid"})
"""Activations that mean the same operator with its default parameters."""

UNSUPPORTED = ("clip", "activation_alpha", "activation_beta", "input_forget", "layout")
"""Attributes that must be absent or zero."""

WEIGHTS, RECURRENT, BIAS, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES = range(1, 8)
"""Positions of inputs."""


def write_out_recurrent(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op in GATES and _can_be_written_out(editor, node):
            _write_out(editor, node)
    return editor.finish()


def _can_be_written_out(editor: GraphEditor, node: Node) -> bool:
    shape = editor.types[node.inputs[0]].shape
    if any(node.attributes.get(name) for name in UNSUPPORTED) or _given(node, PEEPHOLES) or shape[0] > LONGEST:
        return False
    if any(editor.constant(_given(node, position)) is None for position in (WEIGHTS, RECURRENT)):
        return False
    if _given(node, BIAS) and editor.constant(_given(node, BIAS)) is None:
        return False
    if _given(node, LENGTHS):
        lengths = editor.constant(_given(node, LENGTHS))
        if lengths is None or (lengths != shape[0]).any():
            return False
    return all(name in ACTIVATIONS for name in _activations(node))


def _given(node: Node, position: int) -> str:
    """The name of an input; empty when it is absent."""
    return node.inputs[position] if position < len(node.inputs) else ""


def _directions(node: Node) -> tuple[str, ...]:
    direction = node.attributes.get("direction", "forward")
    return ("forward", "reverse") if direction == "bidirectional" else (str(direction),)


def _activations(node: Node) -> list[str]:
    """Names of the activations of all directions, one after the other."""
    given = node.attributes.get("activations") or DEFAULT_ACTIVATIONS[node.op] * len(_directions(node))
    return [str(name) for name in given]


@dataclass
class _Writer:
    """The nodes that take the operator's place; every tensor they make gets its type at once."""

    editor: GraphEditor
    node: Node
    nodes: list[Node] = field(default_factory=list)

    def add(
        self, part: str, op: str, inputs: Sequence[str], shape: tuple[int, ...], output: str = "", **attributes: Any
    ) -> str:
        """Append a node ``<operator>/<part>``; returns the tensor it makes."""
        name = f"{self.node.name}/{part}"
        made = output or self.editor.free_name(name)
        if not output:
            self.editor.types[made] = TensorType(shape, self.dtype)
        self.nodes.append(Node(name, op, tuple(inputs), (made,), attributes))
        return made

    @property
    def dtype(self) -> str:
        return self.editor.types[self.node.inputs[0]].dtype

    def constant(self, part: str, value: Array) -> str:
        return self.editor.add_constant(f"{self.node.name}/{part}", value)

    def integers(self, part: str, values: Sequence[int]) -> str:
        import numpy as np

        return self.constant(part, np.array(values, np.int64))

    def reshaped(self, part: str, tensor: str, shape: tuple[int, ...], output: str = "") -> str:
        return self.add(part, "Reshape", (tensor, self.integers(f"{part}/shape", shape)), shape, output)

    def cut(self, part: str, tensor: str, axis: int, start: int, end: int) -> str:
        """Elements ``start`` to ``end`` along ``axis``."""
        shape = list(self.editor.types[tensor].shape)
        if (start, end) == (0, shape[axis]):
            return tensor
        shape[axis] = end - start
        bounds = [self.integers(f"{part}/{word}", [value]) for word, value in (("start", start), ("end", end))]
        return self.add(part, "Slice", (tensor, *bounds, self.integers(f"{part}/axis", [axis])), tuple(shape))

    def joined(self, part: str, tensors: Sequence[str], axis: int, output: str = "") -> str:
        if len(tensors) == 1 and not output:
            return tensors[0]
        shape = list(self.editor.types[tensors[0]].shape)
        shape[axis] *= len(tensors)
        return self.add(part, "Concat", tensors, tuple(shape), output, axis=axis)


@dataclass
class _Direction:
    """One direction of the operator: its constants, and where its sequence of states goes."""

    writer: _Writer
    index: int
    """Position among the directions."""
    word: str
    """Part of the names: empty for an operator of one direction."""
    reverse: bool
    activations: Sequence[str]
    states: dict[int, str] = field(default_factory=dict)
    """Step of the sequence -> state (batch, hidden) behind it."""
    last_state: str = ""
    last_cell: str = ""

    @property
    def node(self) -> Node:
        return self.writer.node

    def part(self, text: str, step: int | None = None) -> str:
        """A name of a part: ``[backward/][step/]text``."""
        single = self.writer.editor.types[self.node.inputs[0]].shape[0] == 1
        number = "" if step is None or single else f"{step}/"
        return f"{self.word}{number}{text}"

    def array(self, position: int) -> Array:
        """This direction's part of a constant input."""
        value: Array = self.writer.editor.constants[_given(self.node, position)][self.index]
        return value

    @property
    def hidden(self) -> int:
        return int(self.array(RECURRENT).shape[-1])

    @property
    def biases(self) -> tuple[Array, Array]:
        """Of the input products and of the state products, each (gates * hidden,)."""
        import numpy as np

        size = GATES[self.node.op] * self.hidden
        if not _given(self.node, BIAS):
            zeros = np.zeros(size, self.array(RECURRENT).dtype)
            return zeros, zeros
        both = self.array(BIAS)
        return both[:size], both[size:]

    def initial(self, position: int, word: str) -> str:
        """The initial state (batch, hidden) of this direction; empty when it is zero."""
        name = _given(self.node, position)
        if not name:
            return ""
        value = self.writer.editor.constant(name)
        if value is not None and not value.any():
            return ""
        part = self.writer.cut(self.part(f"{word}/first"), name, 0, self.index, self.index + 1)
        batch = self.writer.editor.types[name].shape[1]
        return self.writer.reshaped(self.part(word), part, (batch, self.hidden))

    def matrix(self, part: str, tensor: str, rows: Array, bias: Array | None, shape: tuple[int, ...]) -> str:
        """``tensor`` times the transposed ``rows`` (out, in), and a bias."""
        import numpy as np

        factor = self.writer.constant(f"{part}/weight", np.ascontiguousarray(rows.T))
        product = self.writer.add(part, "MatMul", (tensor, factor), shape)
        if bias is None or not bias.any():
            return product
        summand = self.writer.constant(f"{part}/bias", np.ascontiguousarray(bias))
        return self.writer.add(f"{part}/biased", "Add", (product, summand), shape)


def _write_out(editor: GraphEditor, node: Node) -> None:
    writer = _Writer(editor, node)
    directions = _directions(node)
    activations = _activations(node)
    each = len(activations) // len(directions)
    written = []
    for index, word in enumerate(directions):
        direction = _Direction(
            writer,
            index,
            f"{'forward' if word == 'forward' else 'backward'}/" if len(directions) > 1 else "",
            word == "reverse",
            activations[index * each : (index + 1) * each],
        )
        _write_direction(direction)
        written.append(direction)
    _write_outputs(writer, written)
    nodes = writer.nodes
    for part in nodes:
        editor.parts[part.name] = node.op
    editor.replace(node, *nodes)


def _write_direction(direction: _Direction) -> None:
    writer, node = direction.writer, direction.node
    steps, batch, _ = writer.editor.types[node.inputs[0]].shape
    size = GATES[node.op] * direction.hidden
    input_bias, state_bias = direction.biases
    shared = input_bias + state_bias
    if node.op == "GRU" and node.attributes.get("linear_before_reset", 0):
        shared[2 * direction.hidden :] = input_bias[2 * direction.hidden :]
    products = direction.matrix(
        direction.part("input"), node.inputs[0], direction.array(WEIGHTS), shared, (steps, batch, size)
    )
    state = direction.initial(INITIAL_H, "initial_h")
    cell = direction.initial(INITIAL_C, "initial_c") if node.op == "LSTM" else ""
    for step in reversed(range(steps)) if direction.reverse else range(steps):
        one = writer.cut(direction.part("input/step", step), products, 0, step, step + 1)
        gates = writer.reshaped(direction.part("input/gates", step), one, (batch, size))
        if node.op == "LSTM":
            state, cell = _lstm_step(direction, step, gates, state, cell)
        elif node.op == "GRU":
            state = _gru_step(direction, step, gates, state)
        else:
            state = _rnn_step(direction, step, gates, state)
        direction.states[step] = state
    direction.last_state, direction.last_cell = state, cell


def _with_state(direction: _Direction, step: int, gates: str, state: str) -> str:
    """The gates' sums with the products of the state."""
    if not state:
        return gates
    writer = direction.writer
    shape = writer.editor.types[gates].shape
    product = direction.matrix(direction.part("state", step), state, direction.array(RECURRENT), None, shape)
    return writer.add(direction.part("gates", step), "Add", (gates, product), shape)


def _lstm_step(direction: _Direction, step: int, gates: str, state: str, cell: str) -> tuple[str, str]:
    """Gates in the order input, output, forget, cell."""
    writer, hidden = direction.writer, direction.hidden
    f, g, h = direction.activations
    sums = _with_state(direction, step, gates, state)
    shape = (writer.editor.types[sums].shape[0], hidden)

    def gate(word: str, index: int, op: str) -> str:
        part = writer.cut(direction.part(f"{word}/sum", step), sums, 1, index * hidden, (index + 1) * hidden)
        return writer.add(direction.part(word, step), op, (part,), shape)

    added = writer.add(
        direction.part("update", step), "Mul", (gate("input_gate", 0, f), gate("candidate", 3, g)), shape
    )
    if cell:
        kept = writer.add(direction.part("kept", step), "Mul", (gate("forget_gate", 2, f), cell), shape)
        added = writer.add(direction.part("cell", step), "Add", (kept, added), shape)
    activated = writer.add(direction.part("activated", step), h, (added,), shape)
    output = gate("output_gate", 1, f)
    return writer.add(direction.part("hidden", step), "Mul", (output, activated), shape), added


def _gru_step(direction: _Direction, step: int, gates: str, state: str) -> str:
    """Gates in the order update, reset, hidden: state = candidate + update * (previous state - candidate)."""
    writer, hidden = direction.writer, direction.hidden
    f, g = direction.activations
    shape = (writer.editor.types[gates].shape[0], hidden)
    rows = direction.array(RECURRENT)
    before_reset = bool(direction.node.attributes.get("linear_before_reset", 0))
    late_bias = direction.biases[1][2 * hidden :] if before_reset else None

    def add(word: str, op: str, *inputs: str) -> str:
        return writer.add(direction.part(word, step), op, inputs, shape)

    def input_part(word: str, index: int) -> str:
        return writer.cut(direction.part(f"{word}/input", step), gates, 1, index * hidden, (index + 1) * hidden)

    def gate(word: str, index: int) -> str:
        total = input_part(word, index)
        if state:
            part = direction.part(f"{word}/state", step)
            product = direction.matrix(part, state, rows[index * hidden : (index + 1) * hidden], None, shape)
            total = add(f"{word}/sum", "Add", total, product)
        return add(word, f, total)

    update = gate("update_gate", 0)
    total = input_part("candidate", 2)
    part = direction.part("candidate/state", step)
    if state and before_reset:
        product = direction.matrix(part, state, rows[2 * hidden :], late_bias, shape)
        total = add("candidate/sum", "Add", total, add("candidate/reset", "Mul", gate("reset_gate", 1), product))
    elif state:
        reset = add("candidate/reset", "Mul", gate("reset_gate", 1), state)
        product = direction.matrix(part, reset, rows[2 * hidden :], None, shape)
        total = add("candidate/sum", "Add", total, product)
    elif late_bias is not None and late_bias.any():
        shift = writer.constant(f"{part}/bias", late_bias)
        total = add("candidate/sum", "Add", total, add("candidate/reset", "Mul", gate("reset_gate", 1), shift))
    candidate = add("candidate", g, total)
    if not state:
        return add("hidden", "Sub", candidate, add("kept", "Mul", update, candidate))
    change = add("change", "Sub", state, candidate)
    return add("hidden", "Add", candidate, add("kept", "Mul", update, change))


def _rnn_step(direction: _Direction, step: int, gates: str, state: str) -> str:
    sums = _with_state(direction, step, gates, state)
    shape = direction.writer.editor.types[sums].shape
    return direction.writer.add(direction.part("hidden", step), direction.activations[0], (sums,), shape)


def _write_outputs(writer: _Writer, directions: Sequence[_Direction]) -> None:
    """Y (steps, directions, batch, hidden), Y_h and Y_c (directions, batch, hidden), as far as anybody reads them."""
    editor, node = writer.editor, writer.node
    read = [bool(name) and (bool(editor.consumers(name)) or name in editor.outputs) for name in node.outputs]
    batch = editor.types[node.inputs[0]].shape[1]
    hidden = directions[0].hidden
    if read[0]:
        rows = []
        steps = sorted(directions[0].states)
        for step in steps:
            columns = [
                writer.reshaped(item.part("output", step), item.states[step], (1, 1, batch, hidden))
                for item in directions
            ]
            rows.append(writer.joined(directions[0].part("outputs", step), columns, 1))
        _hand_out(writer, "sequence", rows, 0, node.outputs[0])
    for position, (word, states) in enumerate(
        (("last_h", [item.last_state for item in directions]), ("last_c", [item.last_cell for item in directions])), 1
    ):
        if position < len(read) and read[position]:
            parts = [
                writer.reshaped(item.part(f"{word}/one"), state, (1, batch, hidden))
                for item, state in zip(directions, states, strict=True)
            ]
            _hand_out(writer, word, parts, 0, node.outputs[position])


def _hand_out(writer: _Writer, part: str, tensors: list[str], axis: int, output: str) -> None:
    """Make the operator's own output of ``tensors``."""
    if len(tensors) > 1:
        writer.joined(part, tensors, axis, output)
        return
    last = writer.nodes.pop()
    assert last.outputs == (tensors[0],)
    del writer.editor.types[tensors[0]]
    writer.nodes.append(Node(last.name, last.op, last.inputs, (output,), last.attributes))
