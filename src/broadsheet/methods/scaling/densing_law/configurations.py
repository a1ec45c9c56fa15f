"""The shapes of the six reference models, and how many parameters a shape has."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REFERENCE_MODELS", "Shape"]


@dataclass(frozen=True)
class Shape:
    """The shape of a decoder with grouped-query attention, a gated feed-forward part and no biases.

    Args:
        name: Nominal size.
        published: Parameters that the paper states.
        batch: Sequences in a batch.
        layers: Layers.
        width: Width of the residual stream.
        hidden: Width inside the feed-forward part.
        head_width: Width of a head.
        heads: Query heads.
        kv_heads: Key and value heads.

    Example:
        >>> REFERENCE_MODELS[0].parameters()
        5247232
    """

    name: str
    published: int
    batch: int
    layers: int
    width: int
    hidden: int
    head_width: int
    heads: int
    kv_heads: int

    def parameters(self, vocabulary: int = 0, *, tied: bool = True) -> int:
        """Count weights: attention, gated feed-forward part, two norms a layer and a last one, embeddings.

        Args:
            vocabulary: Rows of the embedding; 0 counts none.
            tied: Whether input and output share it.

        Returns:
            The count.

        Raises:
            ValueError: if ``vocabulary`` is negative.
        """
        if vocabulary < 0:
            raise ValueError(f"vocabulary must be >= 0, got {vocabulary!r}")
        attention = 2 * self.width * self.head_width * (self.heads + self.kv_heads)
        layer = attention + 3 * self.width * self.hidden + 2 * self.width
        return self.layers * layer + self.width + vocabulary * self.width * (1 if tied else 2)


REFERENCE_MODELS = (
    Shape("0.005B", 5_247_232, 32, 8, 256, 640, 64, 4, 1),
    Shape("0.03B", 31_470_080, 32, 12, 512, 1280, 64, 8, 2),
    Shape("0.1B", 106_196_736, 64, 18, 768, 1920, 64, 12, 3),
    Shape("0.2B", 245_416_960, 128, 24, 1024, 2560, 64, 16, 2),
    Shape("0.4B", 476_852_480, 256, 30, 1280, 3200, 64, 20, 2),
    Shape("0.8B", 828_225_024, 512, 36, 1536, 3840, 64, 24, 3),
)
"""The reference models of the paper (appendix), each trained on {10, 15, 20, 30, 40, 60} tokens per parameter."""
