"""Tab-separated text as arrays: where every column of millions of lines lies in their bytes, without a string for each.

Genome-wide annotations and peak files are read through this; what is wanted as text is decoded last, and once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intronaut.io.text import numbered_blocks

_TAB, _NEWLINE = 9, 10
_WITH_SPACE = re.compile(rb"[^\n]* [^\n]*")
# positions are kept in 32 bits with a sign
LARGEST_POSITION = 2**31 - 1
# beyond the digits of any position in a genome, but short enough for int64
LONGEST_NUMBER = 18


@dataclass
class Column:
    """One column of some lines: the bytes of row i are ``text[start[i]:end[i]]``; ``start``, ``end`` are int64."""

    text: bytes
    start: np.ndarray
    end: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Column:
        return Column(self.text, self.start[rows], self.end[rows])

    def words(self) -> list[str]:
        """The text of every row, as a list of str."""
        text = self.text
        return [text[a:b].decode() for a, b in zip(self.start.tolist(), self.end.tolist(), strict=True)]

    def repeated_words(self) -> list[str]:
        """As :meth:`words`, quickly where most rows are like the one before."""
        heads = np.flatnonzero(self.changes())
        words = np.array(self[heads].words(), object)
        return np.repeat(words, np.diff(heads, append=len(self.start))).tolist()

    def is_empty(self) -> np.ndarray:
        """Whether each row holds nothing: bool array."""
        return self.start == self.end

    def is_letter(self, letters: str) -> np.ndarray:
        """Whether each row is exactly one of these letters, all ASCII: bool array."""
        wanted = np.zeros(256, bool)
        wanted[list(letters.encode())] = True
        return (self.end - self.start == 1) & wanted[np.frombuffer(self.text, np.uint8)[self.start]]

    def equals(self, word: bytes) -> np.ndarray:
        """Whether each row is exactly ``word`` (bytes, not empty): bool array."""
        same = self.end - self.start == len(word)
        rows = np.flatnonzero(same)
        same[rows] = self[rows]._letters(len(word)) == word
        return same

    def _letters(self, length):
        """The first ``length`` bytes of every row, at least one, which must be in the text: bytes array."""
        anywhere = np.ndarray(max(0, len(self.text) - length + 1), f"S{length}", self.text, strides=(1,))
        return anywhere[self.start]

    def changes(self) -> np.ndarray:
        """Whether each row differs from the one before; the first one does: bool array."""
        length = self.end - self.start
        changed = np.ones(len(length), bool)
        if len(length) and length[0] and (length == length[0]).all():
            words = self._letters(length[0])
            changed[1:] = words[1:] != words[:-1]
            return changed
        changed[1:] = length[1:] != length[:-1]
        rows, letters = np.flatnonzero(~changed), np.frombuffer(self.text, np.uint8)
        for place in range(length[rows].max(initial=0)):
            rows = rows[length[rows] > place]
            differ = letters[self.start[rows] + place] != letters[self.start[rows - 1] + place]
            changed[rows[differ]] = True
            rows = rows[~differ]
        return changed

    def numbers(self) -> np.ndarray:
        """Each row as a whole number without sign; -1 where it is none or has more than 18 digits: int64 array."""
        length = self.end - self.start
        sound = (length > 0) & (length <= LONGEST_NUMBER)
        from_right = np.arange(1, 1 + length[sound].max(initial=0))[:, None]
        letters = np.frombuffer(self.text, np.uint8)
        digits = letters.take(self.end - from_right, mode="clip") - np.uint8(ord("0"))
        digits *= from_right <= length
        sound &= (digits <= 9).all(axis=0)
        return np.where(sound, (digits * 10 ** (from_right - 1)).sum(axis=0), -1)


class Lines:
    """Some whole lines of a tab-separated file.

    ``first`` is the 1-based number of the first of them; ``n_columns`` the columns of each (int64 array).
    """

    def __init__(self, first: int, text: bytes) -> None:
        self.first, self.text = first, text
        letters = np.frombuffer(text, np.uint8)
        cuts = np.flatnonzero(letters <= _NEWLINE)
        marks = letters.take(cuts)
        if marks.min() < _TAB:
            cuts, marks = cuts[marks >= _TAB], marks[marks >= _TAB]
        ends = np.flatnonzero(marks == _NEWLINE)
        # column k of line i lies between the marks _before[i] + k and the next
        self._marks = np.concatenate([[-1], cuts])
        self._before = np.concatenate([[0], ends[:-1] + 1])
        self.n_columns = ends + 1 - self._before
        self.start, self.end = self._marks[self._before] + 1, cuts[ends]
        self.initial = letters[self.start]

    def holds_pair(self, letters: bytes) -> bool:
        """Whether these two letters stand side by side in the text: several times quicker than to seek a word."""
        pair, n = np.frombuffer(letters, np.uint16), len(self.text)
        return any((np.frombuffer(self.text, np.uint16, (n - at) // 2, at) == pair).any() for at in (0, 1))

    def column(self, number: int, rows: np.ndarray) -> Column:
        """Column ``number``, from 0, of the lines ``rows`` (int array), which must have it."""
        mark = self._before.take(rows) + number
        return Column(self.text, self._marks.take(mark) + 1, self._marks.take(mark + 1))

    def line(self, row: int) -> str:
        """One line as str."""
        return self.text[self.start[row] : self.end[row]].decode()


def cut_at_spaces(lines: Lines) -> Lines:
    """The Lines with a tab for every run of spaces and tabs in those that hold a space, none at their ends."""
    if b" " not in lines.text:
        return lines
    return Lines(lines.first, _WITH_SPACE.sub(lambda line: b"\t".join(line[0].split()), lines.text))


def read_lines(path: Path | str) -> Iterator[Lines]:
    """Yield the Lines of a text file block by block; raises as :func:`intronaut.io.text.numbered_blocks`.

    A thread decompresses and cuts the next block of a file while the caller works on the last.
    """
    blocks = (Lines(first, text) for first, text in numbered_blocks(path))
    if not Path(path).is_file():
        # of a pipe the next block may never come, and a thread that waits for it cannot be stopped
        yield from blocks
        return
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(next, blocks, None)
        while block := ahead.result():
            ahead = pool.submit(next, blocks, None)
            yield block
