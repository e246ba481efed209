"""PTX of a product whose operands TMA brings: every way in which wgmma can find them.

Written by hand, since the library's intrinsics use one of these ways only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MODES = {0: 0, 128: 1, 64: 2, 32: 3}  # bytes of a row that a swizzle knows -> bits of a descriptor
DEPTH = {"tf32": 8, "bf16": 16, "f16": 16}  # of one instruction
SLACK = 1024  # between the operands


@dataclass(frozen=True)
class Operand:
    """A matrix (rows, depth) of one instruction's depth in shared memory.

    Args:
        rows: 64 of a, up to 256 of b.
        swizzle: 0, 32, 64 or 128.
        turned: stored as (depth, rows).
    """

    kind: str
    rows: int
    swizzle: int
    turned: bool

    @property
    def item(self) -> int:
        return 4 if self.kind == "tf32" else 2

    @property
    def unit(self) -> int:
        """Numbers to a row of a box."""
        return (self.swizzle or 16) // self.item

    @property
    def depth(self) -> int:
        """Straight, a box holds a whole row of the swizzle; several instructions use it."""
        return DEPTH[self.kind] if self.turned else max(self.unit, DEPTH[self.kind])

    @property
    def box(self) -> tuple[int, int]:
        """Its rows and the numbers to a row."""
        return (self.depth if self.turned else self.rows), self.unit

    @property
    def boxes(self) -> list[tuple[int, int, int]]:
        """Of each box: first column and row of the matrix in memory, and bytes into the tile."""
        across = self.rows if self.turned else self.depth
        size = self.box[0] * self.unit * self.item
        return [(x, 0, x // self.unit * size) for x in range(0, across, self.unit)]

    @property
    def nbytes(self) -> int:
        return len(self.boxes) * self.box[0] * self.unit * self.item

    @property
    def fields(self) -> int:
        """The descriptor without its address."""
        width = self.swizzle or 16
        chunk = self.box[0] * width  # from one box to the next
        if not self.turned:
            leading, stride = chunk if not self.swizzle else 16, 8 * width
        elif self.swizzle:
            leading, stride = chunk, 8 * width
        else:
            leading, stride = 8 * width, chunk
        return MODES[self.swizzle] << 62 | stride // 16 << 32 | leading // 16 << 16


def copies(operand: Operand, number: int, offset: int) -> list[str]:
    load = "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
    lines = [f"add.u64 %rd9, %rd1, {128 * number};"]
    for x, y, at in operand.boxes:
        lines += [f"mov.u32 %r8, {x};", f"mov.u32 %r9, {y};", f"add.u32 %r10, %r3, {offset + at};"]
        lines.append(f"{load} [%r10], [%rd9, {{%r8, %r9}}], [%r2];")
    return lines


def multiply_ptx(a: Operand, b: Operand, from_registers: bool = False) -> str:
    """PTX of ``multiply(maps, c, words)``: c (128, columns / 2) the sums of each thread.

    Args:
        from_registers: a comes from ``words`` (128, 4), and its map is not used.
    """
    assert from_registers or a.turned or b.turned or a.depth == b.depth
    depth = DEPTH[a.kind]
    steps = min(x.depth for x in (a, b)) // depth if not from_registers else 1
    place = a.nbytes + -a.nbytes % SLACK
    sums = ", ".join(f"%f{i}" for i in range(b.rows // 2))
    lines = [
        ".version 8.0", ".target sm_90a", ".address_size 64",
        ".visible .entry multiply(.param .u64 maps, .param .u64 c, .param .u64 words)",
        ".maxntid 128, 1, 1", "{",
        ".reg .pred %p<4>; .reg .b32 %r<16>; .reg .b64 %rd<24>; .reg .f32 %f<130>;",
        f".shared .align 1024 .b8 tiles[{place + b.nbytes}];", ".shared .align 8 .b8 bar[8];",
        "ld.param.u64 %rd1, [maps];", "ld.param.u64 %rd2, [c];", "ld.param.u64 %rd3, [words];",
        "mov.u32 %r1, %tid.x;", "mov.u32 %r2, bar;", "mov.u32 %r3, tiles;",
        "setp.ne.u32 %p1, %r1, 0;", "@%p1 bra READY;",
        "mbarrier.init.shared::cta.b64 [%r2], 1;", "fence.mbarrier_init.release.cluster;",
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], "
        f"{b.nbytes + (0 if from_registers else a.nbytes)};",
        *([] if from_registers else copies(a, 0, 0)), *copies(b, 1, place),
        "READY:", "bar.sync 0;",
        "AGAIN:", "mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;", "@!%p2 bra AGAIN;",
        *(f"mov.f32 %f{i}, 0f00000000;" for i in range(b.rows // 2)),
        "setp.eq.u32 %p3, 0, 0;", "cvt.u64.u32 %rd4, %r3;", "shr.u64 %rd4, %rd4, 4;",
        f"or.b64 %rd5, %rd4, {a.fields};", f"add.u64 %rd6, %rd4, {place // 16};",
        f"or.b64 %rd6, %rd6, {b.fields};", "mul.wide.u32 %rd7, %r1, 16;",
        "add.u64 %rd7, %rd7, %rd3;",
        "ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%rd7];", "wgmma.fence.sync.aligned;",
    ]  # fmt: skip
    shape = f"m64n{b.rows}k{depth}.f32.{a.kind}.{a.kind}"
    turned = [] if a.kind == "tf32" else [int(b.turned)]
    if not from_registers:
        turned = [int(a.turned), *turned] if turned else []
    for _ in range(steps):
        left = "{%r4, %r5, %r6, %r7}" if from_registers else "%rd5"
        numbers = ", ".join(map(str, (1, 1, *turned)))
        lines.append(
            f"wgmma.mma_async.sync.aligned.{shape} {{{sums}}}, {left}, %rd6, %p3, {numbers};"
        )
        lines += ["add.u64 %rd5, %rd5, 2;", "add.u64 %rd6, %rd6, 2;"]
    lines += ["wgmma.commit_group.sync.aligned;", "wgmma.wait_group.sync.aligned 0;"]
    lines += [f"mul.wide.u32 %rd8, %r1, {2 * b.rows};", "add.u64 %rd8, %rd8, %rd2;"]
    lines += [f"st.global.f32 [%rd8+{4 * i}], %f{i};" for i in range(b.rows // 2)]
    return "\n".join([*lines, "ret;", "}"]) + "\n"


def sums_of(c: np.ndarray) -> np.ndarray:
    """(64, columns) of what each of 128 threads holds, as the figure of the PTX ISA shows it."""
    columns = 2 * c.shape[1]
    full = np.full((64, columns), np.nan, np.float32)
    for thread in range(128):
        warp, lane = divmod(thread, 32)
        for register in range(columns // 2):
            block, place = divmod(register, 4)
            row = 16 * warp + lane // 4 + 8 * (place // 2)
            full[row, 8 * block + 2 * (lane % 4) + place % 2] = c[thread, register]
    return full
