"""Ready models, by name, so that a checkpoint can say how to build the model it belongs to.

Layers have the attribute names that they have in a PyTorch model of the same make, and PyTorch's
parameter names, so that safetensors files of the parameters go both ways.
"""

from __future__ import annotations

from . import registry
from .autoencoder import ConvAutoencoder
from .charlstm import CharLSTM
from .convolutional import VGG, LeNet5
from .mlp import mlp
from .registry import Builder, build, names, register
from .resnet import BasicBlock, ResNet

__all__ = [
    "BasicBlock",
    "Builder",
    "CharLSTM",
    "ConvAutoencoder",
    "LeNet5",
    "ResNet",
    "VGG",
    "build",
    "mlp",
    "names",
    "register",
    "registry",
]
