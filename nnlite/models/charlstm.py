"""Character-level language model."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor


class CharLSTM(nn.Module):
    """Guesses each next character of a text: embedding, LSTM, linear layer.

    Source: A. Graves, "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850.

    Args:
        num_characters: size of the alphabet.
        embedding_dim: size of the vector of a character.
        hidden_size, num_layers: of the LSTM.

    Shape:
        input (n, steps) of integers; returns the scores (n, steps, num_characters) of the next
        characters, and the state of the LSTM, with which the text can go on.

    Examples:
        >>> model = nl.models.CharLSTM(80)
        >>> scores, state = model(x)
        >>> loss = nl.functional.cross_entropy(scores.reshape(-1, 80), y.reshape(-1))
    """

    def __init__(
        self,
        num_characters: int,
        embedding_dim: int = 32,
        hidden_size: int = 128,
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_characters, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_size, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, num_characters)

    def forward(self, x: Any, state: Any = None) -> tuple[Tensor, Any]:
        y, state = self.lstm(self.embedding(x), state)
        return self.output(y), state
