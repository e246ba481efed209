"""Convolutional autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from .. import nn
from ..errors import ArgumentError
from ..tensor import Tensor
from .convolutional import image_shape


class ConvAutoencoder(nn.Module):
    """Compresses an image by strided convolutions and rebuilds it by transposed ones.

    Source: J. Masci et al., "Stacked Convolutional Auto-Encoders for Hierarchical Feature
    Extraction", ICANN 2011, with strides in place of pooling.

    Args:
        input_shape: (channels, height, width), both divisible by 4.
        widths: channels of the two layers of the encoder.

    Shape:
        input and output (n, channels, height, width); the code in between is
        (n, widths[1], height / 4, width / 4).

    Examples:
        >>> model = nl.models.ConvAutoencoder((1, 28, 28))
        >>> loss = nl.functional.mse_loss(model(x), x)
    """

    def __init__(
        self, input_shape: Sequence[int] = (1, 28, 28), widths: Sequence[int] = (8, 4)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape("ConvAutoencoder", input_shape, 4)
        if height % 4 or width % 4:
            raise ArgumentError(
                f"ConvAutoencoder: input_shape: {tuple(input_shape)} given, expected height and "
                "width divisible by 4"
            )
        first, second = widths
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, first, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(first, channels, 4, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
