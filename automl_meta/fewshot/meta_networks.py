"""Meta networks: losses on the support are turned into fast weights, by networks that read their gradients.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedding |
| k | units of the representation and of the base learner's hidden layer |
| P | coordinates of a gradient |
| Q, W | slow weights of the representation u and of the base learner b |
| Z, G | weights of the networks m and d that make fast weights, starred, from gradients |
| M, R | memory of the examples' fast weights, and the representations by which it is read |
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.fewshot.embedded import Head
from automl_meta.metalearn.fast_weights import augmented, item_gradients, preprocessed, with_one
from automl_meta.metalearn.memory import read_weights


class MetaNetworks(Head):
    """The head of meta networks: fast weights of a task for the representation, of an item for the classifier.

    With the gradients of each support item's cross-entropy in u and in b,
    ``Q* = d(G, {grad_Q L_i})``, ``W*_i = m(Z, grad_W L_i)`` and ``r_i = u(Q, Q*, x_i)``. A query item's fast weights
    are ``W* = softmax(cos(r, R))' M``, its class is ``b(W, W*, x)``. d and m see one coordinate of a gradient at a
    time, d an LSTM over the support's items in their order, m a network of three layers.

    Reduced against the paper: representation and base learner share the embedding and differ in their last
    layers, which alone have fast weights; the representation's loss is the cross-entropy whatever the number of
    shots (the paper turns to a contrastive one for more than one). The outer gradient takes the inner gradients
    for constants unless ``second_order``; the layer behind the representation, which only its loss needs, then stays
    as it was drawn.

    Args:
        inputs: d >= 1.
        ways: N >= 2, of every episode.
        generator: Source of the initial weights.
        units: k >= 1.
        hidden: Units of m and of d, >= 1; 20 in the paper.
        second_order: Whether the outer gradient runs through the inner ones.

    Raises:
        InvalidParameterError: If a number breaks its rule, or an episode has another number of classes.

    Reference:
        Munkhdalai and Yu (2017), Meta Networks, algorithm 1. arXiv:1703.00837

    Example:
        >>> head = MetaNetworks(inputs=3, ways=2, generator=torch.Generator(), units=4)
        >>> support, query = torch.zeros(1, 2, 3), torch.ones(1, 5, 3)
        >>> head(support, torch.tensor([[0, 1]]), query, 2).shape
        torch.Size([1, 5, 2])
    """

    def __init__(
        self,
        *,
        inputs: int,
        ways: int,
        generator: torch.Generator,
        units: int = 32,
        hidden: int = 20,
        second_order: bool = False,
    ) -> None:
        super().__init__()
        self.inputs, self.ways, self.units, self.hidden = inputs, ways, units, hidden
        check_least(self, "MetaNetworks", {"inputs": 1, "ways": 2, "units": 1, "hidden": 1})
        self.second_order = second_order

        def layer(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(_drawn(rows, columns, generator))

        self.representation = layer(units, inputs)  # of Q; the layer after it only serves the loss
        self.judgement = layer(ways, units)
        self.base_hidden, self.base_output = layer(units, inputs), layer(ways, units)  # of W
        self.to_task = _CoordinateLSTM(hidden, generator)  # d
        self.to_item = _CoordinateMLP(hidden, generator)  # m

    @property
    def title(self) -> str:
        """See ``Head.title``."""
        return "MetaNetworks"

    def settings(self) -> JSON:
        """See ``Head.settings``."""
        return {
            "units": self.units,
            "hidden": self.hidden,
            "second_order": self.second_order,
            "fast_weights": "of the last layers",
            "representation": "shares the embedding with the base learner",
        }

    def forward(self, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """See ``Head.forward``."""
        if ways != self.ways:
            rule, remedy = f"classifications of {self.ways} classes", "Train it for those."
            raise InvalidParameterError.of("episodes", "MetaNetworks", rule, ways, remedy)
        task_fast = self.task_weights(support, labels)
        hidden_fast, output_fast = self.item_weights(support, labels)
        index = self.represent(support, task_fast)  # R
        attention = read_weights(self.represent(query, task_fast), index)  # [T, B, S]
        hidden = _summed(augmented(query, self.base_hidden, _read(attention, hidden_fast)))
        slow, fast = augmented(hidden, self.base_output, _read(attention, output_fast))
        return slow + fast

    def task_weights(self, support: Tensor, labels: Tensor) -> Tensor:
        """Return Q*, shape [T, k, d + 1]; lines 1 to 6 of algorithm 1."""
        gradients, _ = self._gradients(support, labels, self.representation, self.judgement)
        made: Tensor = self.to_task(preprocessed(gradients).flatten(2, 3))
        return made.view(-1, *self.representation.shape)

    def item_weights(self, support: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return M, the W* of every support item: [T, S, k, d + 1] and [T, S, N, k + 1]; lines 8 to 11."""
        found = self._gradients(support, labels, self.base_hidden, self.base_output)
        hidden, output = (self.to_item(preprocessed(gradients)) for gradients in found)
        return hidden, output

    def represent(self, x: Tensor, task_fast: Tensor) -> Tensor:
        """Return u(Q, Q*, x), shape [T, B, k]; lines 12 and 17."""
        return _summed(augmented(x, self.representation, task_fast))

    def _gradients(
        self, support: Tensor, labels: Tensor, hidden: Tensor, output: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.second_order):
            return item_gradients(support, labels, hidden, output)


class _CoordinateLSTM(nn.Module):
    """One LSTM for all coordinates: it reads the gradients of the items one after the other."""

    def __init__(self, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Parameter(_drawn(4 * hidden, 2 + hidden, generator))
        self.output = nn.Parameter(_drawn(1, hidden, generator))

    def forward(self, gradients: Tensor) -> Tensor:
        """Return [T, P] of preprocessed gradients [T, S, P, 2]."""
        n_tasks, _, n_coordinates, _ = gradients.shape
        state = cell = gradients.new_zeros(n_tasks, n_coordinates, self.hidden)
        for some in gradients.unbind(1):
            sums = with_one(torch.cat([some, state], dim=-1)) @ self.gates.T
            enter, keep, leave, new = sums.chunk(4, dim=-1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = leave.sigmoid() * cell.tanh()
        return (with_one(state) @ self.output.T).squeeze(-1)


class _CoordinateMLP(nn.Module):
    """One network of three layers for all coordinates."""

    def __init__(self, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = ((2, hidden), (hidden, hidden), (hidden, 1))
        self.layers = nn.ParameterList(_drawn(b, a, generator) for a, b in sizes)

    def forward(self, gradients: Tensor) -> Tensor:
        """Return [...] of preprocessed gradients [..., 2]."""
        *before, last = self.layers
        x = gradients
        for layer in before:
            x = functional.linear(x, layer[:, :-1], layer[:, -1]).relu()
        return functional.linear(x, last[:, :-1], last[:, -1]).squeeze(-1)


def _drawn(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Draw a matrix by Glorot's rule, with a last column of zeros for the bias."""
    weight = nn.init.xavier_uniform_(torch.empty(rows, columns), generator=generator)
    return functional.pad(weight, (0, 1))


def _summed(parts: tuple[Tensor, Tensor]) -> Tensor:
    """Join the two activations of a hidden layer."""
    slow, fast = parts
    return slow.relu() + fast.relu()


def _read(attention: Tensor, memory: Tensor) -> Tensor:
    """Read a memory of matrices [T, S, ...] with weights [T, B, S]: [T, B, ...]."""
    return (attention @ memory.flatten(2)).unflatten(2, memory.shape[2:])  # type: ignore[no-any-return, no-untyped-call]
