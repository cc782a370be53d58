"""Gives a fully convolutional ONNX graph another input size, without the `onnx` package.

Detectors are exported for one square input; on a 4:3 picture a quarter of the work then goes into
grey padding. An ONNX file is a protocol-buffer message; only its input's dimensions change and what
was inferred from them (shapes of outputs and inner values) is dropped, so that the runtime infers anew.
Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from lifelong_nav.core.errors import InputError

_GRAPH, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUES = 7, 11, 12, 13
_NAME, _TYPE, _TENSOR, _ELEMENT, _SHAPE, _DIM, _DIM_VALUE = 1, 2, 1, 1, 2, 1, 1


def with_input_shape(model: bytes, name: str, shape: tuple[int, ...]) -> bytes:
    """The model with another shape of input `name`.

    Args:
        model: a serialised ONNX ModelProto.
        name: of the input.
        shape: all dimensions, batch first.

    Raises:
        InputError: these bytes are no ONNX model, or it has no such input.
    """
    try:
        done = False
        out = bytearray()
        for field, start, body, end in _fields(model, 0, len(model)):
            if field == _GRAPH:
                graph, done = _graph(model, body, end, name, shape)
                out += _wrapped(_GRAPH, graph)
            else:
                out += model[start:end]
    except (IndexError, ValueError) as error:
        raise InputError(f"This is no ONNX model ({error}).", "Fetch it again.") from error
    if not done:
        raise InputError(f"The model has no input '{name}'.", "Name one of its inputs.")
    return bytes(out)


def _graph(data: bytes, body: int, end: int, name: str, shape: tuple[int, ...]) -> tuple[bytes, bool]:
    out, done = bytearray(), False
    for field, start, inner, stop in _fields(data, body, end):
        if field == _GRAPH_VALUES:
            continue
        if field == _GRAPH_OUTPUT:
            out += _wrapped(field, _value(data, inner, stop, None))
        elif field == _GRAPH_INPUT and _label(data, inner, stop) == name.encode():
            out += _wrapped(field, _value(data, inner, stop, shape))
            done = True
        else:
            out += data[start:stop]
    return bytes(out), done


def _label(data: bytes, body: int, end: int) -> bytes:
    return next((data[b:e] for f, _, b, e in _fields(data, body, end) if f == _NAME), b"")


def _value(data: bytes, body: int, end: int, shape: tuple[int, ...] | None) -> bytes:
    """A ValueInfoProto with its name and element type, and this shape or none."""
    element = 1
    for field, _, inner, stop in _fields(data, body, end):
        if field == _TYPE:
            for kind, _, tensor, last in _fields(data, inner, stop):
                if kind == _TENSOR:
                    for part, _, place, _ in _fields(data, tensor, last):
                        if part == _ELEMENT:
                            element = _varint(data, place)[0]
    tensor_type = _number(_ELEMENT, element)
    if shape is not None:
        tensor_type += _wrapped(_SHAPE, b"".join(_wrapped(_DIM, _number(_DIM_VALUE, d)) for d in shape))
    return _wrapped(_NAME, _label(data, body, end)) + _wrapped(_TYPE, _wrapped(_TENSOR, tensor_type))


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number, where it starts, where its content starts, where it ends."""
    while at < end:
        start = at
        key, at = _varint(data, at)
        body, wire = at, key & 7
        if wire == 0:
            at = _varint(data, at)[1]
        elif wire == 2:
            length, body = _varint(data, at)
            at = body + length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {start}")
        if at > end:
            raise ValueError(f"cut off at byte {start}")
        yield key >> 3, start, body, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Value and the place after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"number too long at byte {at}")


def _packed(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _packed(field << 3) + _packed(value)


def _wrapped(field: int, content: bytes) -> bytes:
    return _packed(field << 3 | 2) + _packed(len(content)) + content
