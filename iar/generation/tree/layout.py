"""Where the tokens of a tree lie, and which of them see which: pure functions of numbers.

    prefix (text and images)  ->  questions  ->  the last prompt token, once for each way of steering  ->  answers

A row of the batch holds one tree. Its columns are the prefix, the questions without their last token side by side
(*bodies*), one *leaf* for each way of steering a question's last token, and the tokens that the branches generate. A
token sees its ancestors and itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from iar.generation.tree.request import Request


@dataclass
class Tree:
    """Requests that begin with the same tokens and images.

    Attributes:
        prefix: Number of tokens at the beginning that all of them share; at least one less than each has.
        members: Indices of the requests.
    """

    prefix: int
    members: list[int] = field(default_factory=list)


def plant(requests: Sequence[Request], image_tokens: Container[int] = (), least: float = 0.5) -> list[Tree]:
    """Group requests into trees: with the same images, and a common beginning of at least `least` of each prompt.

    Images are the same if every input that does not run along the tokens is the same, bit by bit. The common beginning
    holds all image tokens: what the model makes of an image is computed in the prefix alone.

    Args:
        image_tokens: The ids that stand for images; a prompt with images but none of these shares nothing.
    """
    digests = [_pixels(request) for request in requests]
    trees: list[Tree] = []
    longest = last = 0
    for index in sorted(range(len(requests)), key=lambda i: (digests[i], requests[i].tokens)):
        request = requests[index]
        length, images = len(request.tokens), _images_end(request, image_tokens)
        if trees and digests[index] == digests[last]:
            tree = trees[-1]
            common = min(tree.prefix, _common(requests[last], request), length - 1)
            if common >= max(least * max(longest, length), images, 1):
                tree.prefix, longest, last = common, max(longest, length), index
                tree.members.append(index)
                continue
        trees.append(Tree(length - 1, [index]))
        longest, last = length, index
    return trees


def _pixels(request: Request) -> str:
    found = hashlib.sha256()
    for name, value in sorted(request.inputs.items()):
        if not request.along_tokens(name):
            found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            found.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _common(first: Request, second: Request) -> int:
    """Number of tokens at the beginning that are equal in every input that runs along them."""
    length = min(len(first.tokens), len(second.tokens))
    if first.inputs.keys() != second.inputs.keys():
        return 0
    same = torch.ones(length, dtype=torch.bool)
    for name in filter(first.along_tokens, first.inputs):
        pair = (request.inputs[name][0, :length].reshape(length, -1).cpu() for request in (first, second))
        same &= torch.eq(*pair).all(1)
    return length if bool(same.all()) else int(same.int().argmin())


def _images_end(request: Request, image_tokens: Container[int]) -> int:
    """Number of tokens up to a prompt's last image token; all of them where it has images but no such token."""
    if all(map(request.along_tokens, request.inputs)):
        return 0
    found = [i for i, token in enumerate(request.tokens) if token in image_tokens]
    return found[-1] + 1 if found else len(request.tokens)


@dataclass
class Row:
    """One row of a batch: a tree whose prompt is steered in one way or not at all, and what grows on it.

    Attributes:
        stem: Which tree of the batch.
        steered: Number of the revision that steers its prompt; 0 for none.
        bodies: Token ids of each question behind the prefix, without its last token.
        lasts: The last prompt token of each question.
        branches: For each branch: its place (request, branch), its question in this row, the revision that steers the
            last prompt token, and the one that steers what it generates.
    """

    stem: int
    steered: int
    bodies: list[list[int]]
    lasts: list[int]
    branches: list[tuple[tuple[int, int], int, int, int]]

    @property
    def packed(self) -> int:
        return sum(map(len, self.bodies))

    def part(self, start: int, end: int) -> Row:
        return Row(self.stem, self.steered, self.bodies, self.lasts, self.branches[start:end])


def rows_of(tree: Tree, stem: int, requests: Sequence[Request], number: Mapping[int, int]) -> list[Row]:
    """A tree's rows: one for all branches that leave the prompt as it is, one for each revision that steers it.

    Args:
        number: id of a revision -> its number, from 1; 0 is unsteered.
    """
    rows: dict[int, Row] = {}
    for index in tree.members:
        tail = requests[index].tokens[tree.prefix :]
        for place, branch in enumerate(requests[index].branches):
            revision = number[id(branch.revision)] if branch.steered else 0
            prompt = revision if branch.steers_prompt else 0
            row = rows.setdefault(prompt, Row(stem, prompt, [], [], []))
            if not row.branches or row.branches[-1][0][0] != index:
                row.bodies.append(tail[:-1])
                row.lasts.append(tail[-1])
            last = 0 if branch.positions == "generated" else revision
            answer = 0 if branch.positions == "prompt" else revision
            row.branches.append(((index, place), len(row.lasts) - 1, last, answer))
    return [rows[prompt] for prompt in sorted(rows)]


@dataclass
class Packed:
    """The tokens between the prefixes and the answers, for a batch of rows. Padding has question -1.

    Attributes:
        ids, depth, question: (rows, bodies' columns): token, number of tokens before it behind the prefix, question.
        leaf_ids, leaf_depth, leaf_question, leaf_steered: (rows, leaves): the same of the last prompt tokens, each for
            every revision that steers it.
        leaf_request: (rows, leaves): the request whose last token it is; -1 for padding.
        leaf: (rows, branches): the leaf each branch grows on; 0 for padding.
        steered: (rows, branches): the revision of what it generates.
        branch: (rows, branches): its number, row by row; -1 for padding.
        request: (rows, branches): its request.
    """

    ids: Tensor
    depth: Tensor
    question: Tensor
    leaf_ids: Tensor
    leaf_depth: Tensor
    leaf_question: Tensor
    leaf_steered: Tensor
    leaf_request: Tensor
    leaf: Tensor
    steered: Tensor
    branch: Tensor
    request: Tensor


def pack(rows: Sequence[Row], device: torch.device | str = "cpu") -> Packed:
    """Lay out bodies, leaves and branches of a batch of rows."""
    bodies = [[(token, i, q) for q, body in enumerate(row.bodies) for i, token in enumerate(body)] for row in rows]
    leaves, grown, count = [], [], 0
    for row in rows:
        kinds = list(dict.fromkeys((q, last) for _, q, last, _ in row.branches))
        index = {kind: i for i, kind in enumerate(kinds)}
        asked = {q: request for (request, _), q, _, _ in row.branches}
        leaves.append([(row.lasts[q], len(row.bodies[q]), q, last, asked[q]) for q, last in kinds])
        grown.append(
            [(index[q, last], answer, count + i, asked[q]) for i, (_, q, last, answer) in enumerate(row.branches)]
        )
        count += len(row.branches)
    tables = (*_table(bodies, (0, 0, -1)), *_table(leaves, (0, 0, -1, 0, -1)), *_table(grown, (0, 0, -1, 0)))
    return Packed(*(table.to(device) for table in tables))


def _table(rows: Sequence[Sequence[tuple[int, ...]]], padding: tuple[int, ...]) -> Iterator[Tensor]:
    """One (rows, longest) tensor for each field."""
    longest = max(map(len, rows))
    filled = [[*row, *(padding,) * (longest - len(row))] for row in rows]
    whole = torch.tensor(filled, dtype=torch.long).view(len(rows), longest, len(padding))
    return iter(whole.unbind(-1))


def sees_bodies(question: Tensor, depth: Tensor) -> Tensor:
    """(rows, N, N): which body tokens a body token sees: its own question's, up to itself."""
    same = (question[:, :, None] == question[:, None]) & (question[:, None] >= 0)
    return same & (depth[:, :, None] >= depth[:, None])


def sees_of_leaves(leaf_question: Tensor, question: Tensor) -> Tensor:
    """(rows, leaves, N): which body tokens a leaf sees: all of its question."""
    return (leaf_question[:, :, None] == question[:, None]) & (question[:, None] >= 0)


def additive(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """(rows, 1, queries, columns): 0 where a query sees a column, else -inf; each query must see one, as all do here.

    Not the smallest number of `dtype`: a score as large as that, of another branch, would cancel it.
    """
    mask = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    return mask.masked_fill_(~sees, -torch.inf)[:, None]
