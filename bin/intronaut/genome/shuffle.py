"""Sequences shuffled so that their dinucleotides stay: the null of motifs, a baseline of attributions."""

import numpy as np


def dinucleotide_shuffle(sequence: str, rng: np.random.Generator) -> str | np.ndarray:
    """A random sequence with exactly the dinucleotide counts of ``sequence``, every such sequence as likely.

    ``sequence`` is a string, which gives a string, or integer codes ``(length,)``, which give an array of their dtype;
    every letter counts as itself, N too. ``rng`` is a numpy Generator. First and last letter stay where they are, as
    they must for the counts to stay.

    A sequence is a walk along the edges letter → next letter. A walk that ends where it did uses every edge once
    exactly when the edges by which letters are last left form a tree towards the last letter (Altschul & Erickson
    1985, Mol Biol Evol 2:526). Such a tree is drawn uniformly by loop-erased random walks (Wilson 1996, STOC 28:296),
    as in Propp & Wilson 1998 (J Algorithms 27:170); the other edges of a letter are put in random order.
    """
    text = isinstance(sequence, str)
    codes = np.array(list(sequence)) if text else np.asarray(sequence)
    if len(codes) < 4:
        return sequence if text else codes.copy()
    letters, walk = np.unique(codes, return_inverse=True)
    successors = [walk[1:][walk[:-1] == letter] for letter in range(len(letters))]
    for letter, last in _last_edges(successors, walk[-1], rng).items():
        edges = successors[letter]
        edges[last], edges[-1] = edges[-1], edges[last]
    for letter, edges in enumerate(successors):
        rng.shuffle(edges if letter == walk[-1] else edges[:-1])
    shuffled = letters[_follow(successors, walk[0], len(walk))]
    return "".join(shuffled) if text else shuffled


def _last_edges(successors, root, rng):
    """Letter → the place of the edge by which it is last left, of a uniformly drawn tree towards ``root``."""
    last, settled = {}, {root}
    for start in range(len(successors)):
        path, at = {}, start
        while at not in settled:
            # leaving a letter again overwrites its edge, which erases the loop
            path[at] = int(rng.integers(len(successors[at])))
            at = successors[at][path[at]]
        at = start
        while at not in settled:
            settled.add(at)
            last[at] = path[at]
            at = successors[at][path[at]]
    return last


def _follow(successors, start, length):
    edges = [iter(letters.tolist()) for letters in successors]
    walk = [int(start)]
    for _ in range(length - 1):
        walk.append(next(edges[walk[-1]]))
    return walk
