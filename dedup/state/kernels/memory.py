"""Bytes of an array at any place: read, written, moved, fetched ahead. What NumPy's types cannot say."""

from __future__ import annotations

import numba as nb
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

_BYTE = ir.IntType(8)


def _pointer(context, builder, signature, args, which=1):
    """The address of a byte of the first argument."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(builder.bitcast(data, _BYTE.as_pointer()), [args[which]])


@intrinsic
def load(typing, array, at):
    """The 8 bytes from byte ``at`` on, as a number."""

    def make(context, builder, signature, args):
        word = builder.bitcast(_pointer(context, builder, signature, args), ir.IntType(64).as_pointer())
        return builder.load(word, align=1)

    return nb.uint64(array, nb.int64), make


def _storing(bits):
    def store(typing, array, at, value):
        def make(context, builder, signature, args):
            kind = ir.IntType(bits)
            word = builder.bitcast(_pointer(context, builder, signature, args), kind.as_pointer())
            builder.store(builder.trunc(args[2], kind) if bits < 64 else args[2], word, align=1)
            return context.get_dummy_value()

        return nb.void(array, nb.int64, nb.uint64), make

    return intrinsic(store)


#: Write the lowest 2, 4 or 8 bytes of a number from byte ``at`` on.
store_2, store_4, store_8 = _storing(16), _storing(32), _storing(64)


@intrinsic
def move(typing, array, to, at, size):
    """Move so many bytes from ``at`` to ``to``; both may overlap."""

    def make(context, builder, signature, args):
        target = _pointer(context, builder, signature, args)
        source = _pointer(context, builder, signature, args, 2)
        cgutils.raw_memmove(builder, target, source, args[3], ir.Constant(ir.IntType(64), 1))
        return context.get_dummy_value()

    return nb.void(array, nb.int64, nb.int64, nb.int64), make


@intrinsic
def prefetch(typing, array, at):
    """Have the memory where item ``at`` begins fetched, without waiting for it; it need not exist."""

    def make(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), _BYTE.as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, *(ir.Constant(number, each) for each in (1, 3, 1))])
        return context.get_dummy_value()

    return nb.void(array, nb.int64), make
