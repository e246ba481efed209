"""Hand-written Numba CUDA kernels and the engine that runs them; import it as ``nnlite.kernels``."""

if __name__ != "nnlite.kernels":
    raise ImportError(
        f"this package is nnlite.kernels but was imported as {__name__!r}; "
        "install nnlite (pip install nnlite-cuda) and use `import nnlite.kernels`"
    )
