"""Packaging of nnlite. The folder ``kernels/`` is installed as the package ``nnlite.kernels``."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
VERSION = "0.1.0"


# Listed, never found: find_packages() would also ship a top-level package "kernels", the name of
# another project, and follow the symlink nnlite/kernels. A test compares the list with the folders.
LAYER = (
    "cli",
    "cudasim",
    "data",
    "functional",
    "learn",
    "learn/exercises",
    "models",
    "nn",
    "optim",
    "testing",
    "testing/fake_gpu",
    "testing/interpreter",
    "testing/machine",
    "testing/random_kernels",
    "train",
)
KERNELS = (
    "activations",
    "conv",
    "elementwise",
    "engine",
    "engine/cpu",
    "engine/gpu",
    "engine/lens",
    "engine/lens/html",
    "engine/lens/profiler",
    "engine/ptx",
    "engine/resources",
    "engine/tuning",
    "indexing",
    "ladder",
    "ladder/conv",
    "ladder/exercises",
    "ladder/matmul",
    "ladder/reduce",
    "loss",
    "matmul",
    "matmul/halves",
    "matmul/hopper",
    "norm",
    "pool",
    "recurrent",
    "reduce",
    "resample",
    "softmax",
    "update",
)
PACKAGES = {
    "nnlite": "nnlite",
    **{f"nnlite.{path.replace('/', '.')}": f"nnlite/{path}" for path in LAYER},
    "nnlite.kernels": "kernels",
    **{f"nnlite.kernels.{path.replace('/', '.')}": f"kernels/{path}" for path in KERNELS},
}
LINUX = "sys_platform == 'linux'"
OLDER_NUMPY = "numpy<2.5"  # numba-cuda 0.30 reads np.row_stack, which NumPy 2.5 has not
NVDISASM = f"nvidia-cuda-nvdisasm>=13; {LINUX}"
CUDA_CORE = "cuda-core>=1.0"  # which numba-cuda wants, too, and contents itself with older ones
OFFLINE = [  # compiles, needs no GPU
    *(f"numba-cuda[cu13]>=0.30; {LINUX}", f"{CUDA_CORE}; {LINUX}", OLDER_NUMPY, NVDISASM),
]
EXTRAS = {
    "data": ["mlxtend>=0.23", "pillow>=10", "scikit-learn>=1.3"],
    "test": [
        *OFFLINE,
        "hypothesis>=6.100",
        "pytest>=8",
        "pytest-xdist>=3.6",
    ],
    "bench": ["torch>=2.4"],
    "resources": OFFLINE,
    "cuda12": ["numba-cuda[cu12]>=0.30", CUDA_CORE, OLDER_NUMPY],
    "cuda13": ["numba-cuda[cu13]>=0.30", CUDA_CORE, OLDER_NUMPY],
    "dev": ["build>=1.2", "pre-commit>=3.7", "mypy>=1.13", "ruff>=0.17,<0.18"],
}

setup(
    name="nnlite-cuda",
    version=VERSION,
    description="Hand-written Numba CUDA kernels and a thin neural-network layer, on GPU and CPU",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=sorted(PACKAGES),
    package_dir=PACKAGES,
    package_data={
        "nnlite": ["py.typed"],
        "nnlite.kernels": ["py.typed"],
        "nnlite.kernels.engine.lens.html": ["*.css", "*.js"],
    },
    install_requires=[
        "matplotlib>=3.8",
        "numba>=0.68,<0.70",
        "numpy>=2.0",
        "rich>=13.7",
        "safetensors>=0.4.3",
        "typer>=0.15",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["nnlite = nnlite.cli:main"],
        "pytest11": ["nnlite = nnlite.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
