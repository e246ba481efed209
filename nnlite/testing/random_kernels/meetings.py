"""Statements in which threads meet: barriers, exchanges, warp operations, atomics.

What keeps them free of races:

* ``s[tid]``, ``dyn[tid]``, ``g[i]`` belong to the thread; others read or write them only between
  two barriers that enclose a single write or a single read phase;
* an array of counters is changed by one atomic operation only, one that commutes, and read between
  two barriers;
* values that shuffles give for absent lanes are not used.
"""

from __future__ import annotations

from .expressions import Expressions, Typed

ATOMICS = {
    "add": ("int32", "uint32", "int64", "uint64", "float32"),
    "sub": ("int32", "int64", "uint64"),
    "max": ("int32", "uint32", "int64", "uint64", "float32"),
    "min": ("int32", "uint32", "int64", "uint64", "float32"),
    "nanmax": ("float32", "int32"),
    "nanmin": ("float32", "int64"),
    "and_": ("int32", "uint32", "int64", "uint64"),
    "or_": ("int32", "uint32", "int64", "uint64"),
    "xor": ("int32", "uint32", "int64", "uint64"),
    "inc": ("uint32", "uint64"),
    "dec": ("uint32", "uint64"),
}
# Some look like names that the compiler makes.
NAMES = (
    ("a", "b", "c", "d"),
    ("tid_x", "t_1", "mask_", "bdim_z"),
    ("done", "skip1", "i_0", "end"),
)
VARIABLES = frozenset({"p", "q"}.union(*NAMES))
WIDE = ("int32", "uint32", "int64", "uint64")


class Meetings(Expressions):
    """The names here exist in the kernel or are parameters of a device function."""

    threads = 1
    slots = "s"  # shared, one element per thread
    slots_type = "int32"
    bins: tuple[str, str, str] | None = None  # shared counters: name, atomic, type
    total: tuple[str, str, str] | None = None  # global counters
    dynamic: str | None = None
    dynamic_type = "int32"
    count = 0

    def put(self, depth: int, text: str) -> None:
        raise NotImplementedError

    def fresh(self, base: str) -> str:
        self.count += 1
        return f"{base}{self.count}"

    def variables(self) -> list[str]:
        """Integer variables that may be assigned to."""
        return [v for v in self.scope.ints if v in VARIABLES]

    def set_integer(self, depth: int, value: Typed) -> None:
        """Assign to a variable that varies."""
        name = self.r.choice(self.variables())
        self.put(depth, f"{name} = {self.cast(value, self.scope.ints[name])}")

    # -- atomics -----------------------------------------------------------------------------------
    def atomic(self, depth: int) -> None:
        """On counters; any thread may do it at any time."""
        known = [c for c in (self.bins, self.total) if c is not None]
        if known:
            name, operation, kind = self.r.choice(known)
            value = "13" if operation in ("inc", "dec") else self.integer(1).text
            if kind == "float32":
                value = f"float32({self.short()} & 7)"
            self.put(depth, f"cuda.atomic.{operation}({name}, {self.short()} & 7, {value})")

    def own_atomic(self, depth: int) -> None:
        """On the thread's own element, so that the old value is known."""
        if self.slots_type not in WIDE:
            return
        value = self.integer(1).text
        choice = self.pick("add", "sub", "max", "min", "and_", "or_", "xor", "exch", "cas")
        if "atomics" not in self.features:
            choice = "add"
        rest = f"{self.leaf_of_names().text}, {value}" if choice == "cas" else value
        call = f"cuda.atomic.{choice}({self.slots}, tid, {rest})"
        if self.chance(0.7):
            self.set_integer(depth, Typed(call, self.slots_type))
        else:
            self.put(depth, call)

    # -- the block ---------------------------------------------------------------------------------
    def barrier(self, depth: int) -> None:
        if "counting" in self.features and self.chance(0.25):
            kind = self.pick("count", "and", "or")
            call = f"cuda.syncthreads_{kind}(int32({self.test(1)}))"
            if self.chance(0.5):
                self.set_integer(depth, Typed(call, "int32"))
            elif "u" in self.scope.uniform:
                self.put(depth, f"u = int64({call} % 7)")
            else:
                self.put(depth, call)
        else:
            self.put(depth, "cuda.syncthreads()")

    def exchange(self, depth: int) -> None:
        """Through shared memory."""
        slots, kind = self.slots, self.slots_type
        if self.dynamic and self.chance(0.5):
            slots, kind = self.dynamic, self.dynamic_type
        n = self.threads
        if self.chance(0.7):
            write = f"{slots}[tid] = {self.integer(1).text}"
            if self.chance(0.2):
                self.put(depth, f"if {self.test(1)}:")
                self.put(depth + 1, write)
            else:
                self.put(depth, write)
            self.barrier(depth)
        else:  # others may still read what is overwritten here
            where = self.pick(f"{n - 1} - tid", f"(tid + {self.uniform(1)}) % {n}")
            self.put(depth, "cuda.syncthreads()")
            self.put(depth, f"{slots}[{where}] = {self.short()}")
            self.put(depth, "cuda.syncthreads()")
        read = self.pick(
            f"(tid + {self.uniform(1)}) % {n}", f"{n - 1} - tid", f"{self.integer(1).text} % {n}"
        )
        self.set_integer(depth, Typed(f"{slots}[{read}]", kind))
        if self.chance(0.3) and "u" in self.scope.uniform:
            name = self.pick(*[v for v in self.scope.uniform if v in ("u", "v")])
            self.put(depth, f"{name} = int64({slots}[{self.r.randrange(n)}]) % 6")
        self.put(depth, "cuda.syncthreads()")

    def tree(self, depth: int) -> None:
        """A sum over the block, or a running sum."""
        slots, n, k = self.slots, self.threads, self.fresh("k")
        self.put(depth, f"{slots}[tid] = {self.integer(1).text}")
        self.put(depth, "cuda.syncthreads()")
        if self.chance(0.5):
            half = 1 << (n.bit_length() - 1)
            self.put(depth, f"{k} = {half // 2}")
            self.put(depth, f"while {k} > 0:")
            self.put(depth + 1, f"if tid < {k}:")
            self.put(depth + 2, f"{slots}[tid] += {slots}[tid + {k}]")
            self.put(depth + 1, "cuda.syncthreads()")
            self.put(depth + 1, f"{k} //= 2")
        else:
            self.put(depth, f"{k} = 1")
            self.put(depth, f"while {k} < {n}:")
            other = f"{self.slots_type}({slots}[tid - {k}] if tid >= {k} else {self.slots_type}(0))"
            self.put(depth + 1, f"z{k} = {other}")
            self.put(depth + 1, "cuda.syncthreads()")
            self.put(depth + 1, f"{slots}[tid] += z{k}")
            self.put(depth + 1, "cuda.syncthreads()")
            self.put(depth + 1, f"{k} *= 2")
        self.set_integer(depth, Typed(f"{slots}[{self.integer(1).text} % {n}]", self.slots_type))
        self.put(depth, "cuda.syncthreads()")

    def two_buffers(self, depth: int) -> None:
        """Rows of a two-dimensional array that change places."""
        k, n, kind = self.fresh("k"), self.threads, self.slots_type
        self.put(depth, "one, two = rows[0], rows[1]")
        self.put(depth, f"one[tid] = {self.integer(1).text}")
        self.put(depth, "cuda.syncthreads()")
        span = self.pick("range(2)", f"range({self.uniform(1)} % 4)", "(1, 3, 5)")
        self.put(depth, f"for {k} in {span}:")
        where = self.pick(f"(tid + {k}) % {n}", f"{n - 1} - tid")
        self.put(depth + 1, f"two[tid] = one[{where}] {self.pick('+', '^')} {self.short()}")
        self.put(depth + 1, "one, two = two, one")
        if self.chance(0.3):
            self.put(depth + 1, f"if {k} == 1:")
            self.put(depth + 2, "cuda.syncthreads()")
            self.put(depth + 2, self.pick("break", "continue"))
        self.put(depth + 1, "cuda.syncthreads()")
        self.set_integer(depth, Typed(f"one[{self.integer(1).text} % {n}]", kind))
        self.put(depth, "cuda.syncthreads()")

    def global_exchange(self, depth: int) -> None:
        """Through global memory, within the block."""
        self.put(depth, f"g[i] = {self.integer(1).text}")
        self.barrier(depth)
        where = f"i - tid + (tid + {self.uniform(1)}) % {self.threads}"
        self.set_integer(depth, Typed(f"g[{where}]", "int64"))
        self.put(depth, "cuda.syncthreads()")

    def histogram(self, depth: int) -> None:
        if self.bins is None:
            return
        name, _, kind = self.bins
        if self.chance(0.3):  # many threads store the same value
            name, kind = "flags", "int32"
            self.put(depth, f"flags[{self.short()} & 7] = 7")
        else:
            self.atomic(depth)
        self.barrier(depth)
        value = Typed(f"{name}[{self.short()} & 7]", kind)
        if kind == "float32":
            value = Typed(f"int64({value.text})", "int64")
        self.set_integer(depth, value)
        self.put(depth, "cuda.syncthreads()")

    def grid_exchange(self, depth: int, total: int) -> None:
        """Through global memory, with a barrier of the whole grid."""
        self.put(depth, f"g[i] = {self.integer(1).text}")
        self.put(depth, "cuda.cg.this_grid().sync()")
        self.set_integer(depth, Typed(f"g[(i + {self.r.randrange(1, 99)}) % {total}]", "int64"))
        self.put(depth, "cuda.cg.this_grid().sync()")

    # -- the warp ----------------------------------------------------------------------------------
    def warp(self, depth: int, mask: str) -> None:
        """One warp operation of the lanes of ``mask``, all of which are here."""
        options = [self.vote, self.leader, self.guarded, self.guarded, self.nested]
        if "match" in self.features:
            options.append(self.match)
        self.r.choice(options)(depth, mask)

    def shuffled(self) -> Typed:
        kind = self.pick("int32", "int64")
        return Typed(self.cast(self.integer(1), kind), kind)

    def vote(self, depth: int, mask: str) -> None:
        name = self.pick("all", "any", "eq", "ballot")
        call = f"cuda.{name}_sync({mask}, {self.test(1)})"
        if name == "ballot" or not self.scope.bools:
            kind = "int32" if name == "ballot" else "bool"
            self.set_integer(depth, Typed(call if kind == "int32" else f"int32({call})", "int32"))
        else:
            self.put(depth, f"{self.r.choice(self.scope.bools)} = {call}")
        if self.chance(0.15):
            self.put(depth, f"cuda.syncwarp({mask})" if self.chance(0.5) else "pass")

    def leader(self, depth: int, mask: str) -> None:
        """From the first lane that is here."""
        m, value = self.fresh("m"), self.shuffled()
        self.put(depth, f"{m} = cuda.ballot_sync({mask}, {self.pick('True', 'tid >= 0')})")
        call = f"cuda.shfl_sync({mask}, {value.text}, int32(cuda.ffs({m})) - 1)"
        self.set_integer(depth, Typed(call, value.type))

    def guarded(self, depth: int, mask: str) -> None:
        """From a lane that may be absent; then the value is not used."""
        m, w, value = self.fresh("m"), self.fresh("w"), self.shuffled()
        how = self.pick("shfl_sync", "shfl_up_sync", "shfl_down_sync", "shfl_xor_sync")
        by = self.pick("1", "2", "5", "16", "31", f"({self.short()} & 31)")
        self.put(depth, f"{m} = cuda.ballot_sync({mask}, True)")
        if how != "shfl_sync" and "&" in by and self.scope.uniform:
            by = f"({self.pick(*self.scope.uniform)} & 31)"
        self.put(depth, f"{w} = cuda.{how}({mask}, {value.text}, {by})")
        lane = {"shfl_sync": by, "shfl_xor_sync": f"(lane ^ {by})"}.get(how)
        lane = lane or f"(lane {'-' if 'up' in how else '+'} {by})"
        here = f"({m} >> ({lane} & 31)) & 1 == 1 or {lane} < 0 or {lane} > 31"
        self.put(depth, f"if {here}:")
        self.set_integer(depth + 1, Typed(w, value.type))

    def warp_exchange(self, depth: int, mask: str) -> None:
        """Through shared memory, within a warp: the first of the lanes tells the others."""
        m = self.fresh("m")
        self.put(depth, f"{m} = cuda.ballot_sync({mask}, True)")
        self.put(depth, f"{self.slots}[tid] = {self.integer(1).text}")
        self.put(depth, f"cuda.syncwarp({mask})")
        where = f"tid - lane + int32(cuda.ffs({m})) - 1"
        self.set_integer(depth, Typed(f"{self.slots}[{where}]", self.slots_type))
        self.put(depth, f"cuda.syncwarp({mask})")

    def nested(self, depth: int, mask: str) -> None:
        """Several operations in one expression."""
        votes = [
            f"cuda.{self.pick('any', 'all', 'eq')}_sync({mask}, {self.test(1)})" for _ in range(2)
        ]
        ballot, value = f"cuda.ballot_sync({mask}, {self.test(1)})", self.shuffled()
        first = f"int32(cuda.ffs(cuda.ballot_sync({mask}, True))) - 1"
        choices = (
            Typed(f"(cuda.popc({ballot}) + int32({votes[0]}))", "int64"),
            Typed(f"int32({votes[0]} {self.pick('and', 'or')} {votes[1]})", "int32"),
            Typed(f"({ballot} if {votes[0]} else int32({self.short()}))", "int32"),
            Typed(f"cuda.shfl_sync({mask}, {value.text}, {first})", value.type),
        )
        self.set_integer(depth, self.r.choice(choices))

    def match(self, depth: int, mask: str) -> None:
        value = self.fresh("w")
        self.put(depth, f"{value} = int32({self.integer(1).text} % {self.pick('2', '3')})")
        if self.chance(0.5):
            m = self.fresh("m")
            self.put(depth, f"{m} = cuda.match_any_sync({mask}, {value})")
            if self.chance(0.5):
                call = f"cuda.ballot_sync({m}, {self.test(1)})"
                self.set_integer(depth, Typed(call, "int32"))
            else:
                self.set_integer(depth, Typed(f"cuda.popc({m})", "int32"))
        else:
            m, p = self.fresh("m"), self.fresh("p")
            self.put(depth, f"{m}, {p} = cuda.match_all_sync({mask}, {value})")
            self.set_integer(depth, Typed(f"({m} + int32({p}))", "int64"))
