"""A small transformer with prompts: vectors that it reads beside its input, and all that a task changes.

| symbol | meaning |
|---|---|
| B | items |
| P | prompts |
| L | tokens, P + 1 |
| w | width of a token |
| h | heads |
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.initial import drawn_linear


class PromptedTransformer(nn.Module):
    """A surrogate x -> y whose task is told by P prompts.

    Each item is a sequence of its own: the prompts, then one token of x. Blocks are pre-norm, attention is over
    all tokens, and the output is read from x's token. Adapted with ``ContextAdaptation(context="prompts")``, the
    backbone never changes on a task.

    Args:
        inputs: Length d of x, >= 1.
        generator: Source of the initial weights.
        prompts: P >= 1.
        width: w, a multiple of the heads.
        blocks: Transformer blocks, >= 1.
        heads: h >= 1.
        outputs: Length of y, >= 1.

    Raises:
        InvalidParameterError: If a number breaks its rule.

    Reference:
        Vaswani et al. (2017), Attention Is All You Need, section 3. arXiv:1706.03762. Prompts: Lester, Al-Rfou and
        Constant (2021), section 2. arXiv:2104.08691

    Example:
        >>> network = PromptedTransformer(1, generator=torch.Generator())
        >>> network(torch.zeros(3, 1)).shape
        torch.Size([3, 1])
    """

    def __init__(
        self,
        inputs: int,
        *,
        generator: torch.Generator,
        prompts: int = 8,
        width: int = 40,
        blocks: int = 2,
        heads: int = 4,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        sizes = {"inputs": inputs, "prompts": prompts, "blocks": blocks, "heads": heads}
        for name, value in (sizes | {"outputs": outputs}).items():
            if value < 1:
                rule = "an int >= 1"
                raise InvalidParameterError.of(name, "PromptedTransformer", rule, value, "Try 4.")
        if width < 1 or width % heads:
            rule = f"a multiple of the {heads} heads"
            raise InvalidParameterError.of("width", "PromptedTransformer", rule, width, "Try 40.")
        drawn = torch.randn(prompts, width, generator=generator)
        self.prompts = nn.Parameter(drawn)
        self.embed = drawn_linear(inputs, width, generator=generator)
        self.blocks = nn.Sequential(*[_Block(width, heads, generator) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.head = drawn_linear(width, outputs, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Predict.

        Args:
            x: [B, d].

        Returns:
            [B, outputs].
        """
        tokens = torch.cat(
            [self.prompts.expand(len(x), *self.prompts.shape), self.embed(x).unsqueeze(1)], dim=1
        )
        outputs: Tensor = self.head(self.norm(self.blocks(tokens)[:, -1]))
        return outputs


class _Block(nn.Module):
    """Self-attention and a two-layer perceptron, each on the normalised stream and added to it."""

    def __init__(self, width: int, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read = drawn_linear(width, 3 * width, generator=generator)
        self.write = drawn_linear(width, width, generator=generator)
        self.wide = drawn_linear(width, 2 * width, generator=generator)
        self.narrow = drawn_linear(2 * width, width, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform [B, L, w]."""
        tokens = tokens + self.write(self._attended(self.read(self.norm1(tokens))))
        added: Tensor = self.narrow(functional.gelu(self.wide(self.norm2(tokens))))
        return tokens + added

    def _attended(self, read: Tensor) -> Tensor:
        """Return the values that each token reads, [B, L, w], from queries, keys and values [B, L, 3w].

        Written out: PyTorch's fused kernels have no second derivative.
        """
        n_items, length, width = read.shape
        query, key, value = read.view(n_items, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weight = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)
        mixed: Tensor = (weight @ value).transpose(1, 2)
        return mixed.reshape(n_items, length, width // 3)
