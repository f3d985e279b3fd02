"""What each of several players adds to a value that is known for sets of them: alone, last, and Shapley's share.

Every quantity is a sum of the values of sets with fixed coefficients, so that its error follows from theirs.
"""

from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

EMPTY = frozenset()


@dataclass
class Quantity:
    """``coefficients``: a dict from set (frozenset of players) to number; the quantity is their sum with the values."""

    coefficients: dict

    def of(self, values: dict[frozenset[str], float]) -> float:
        """The quantity, where ``values`` maps each set to a number or an array."""
        return sum(number * values[members] for members, number in self.coefficients.items())


def every_set(players: list[str]) -> list[frozenset[str]]:
    """All sets of the players, the empty one first."""
    return [frozenset(chosen) for size in range(len(players) + 1) for chosen in combinations(players, size)]


def difference(larger: frozenset[str], smaller: frozenset[str]) -> Quantity:
    """The value of one set minus that of another."""
    return Quantity({larger: 1.0, smaller: -1.0} if larger != smaller else {larger: 0.0})


def alone(player: str) -> Quantity:
    """What a player adds to nothing."""
    return difference(frozenset([player]), EMPTY)


def last_in(player: str, players: list[str]) -> Quantity:
    """What a player adds to all the others."""
    return difference(frozenset(players), frozenset(players) - {player})


def shared(first: str, second: str) -> Quantity:
    """What two players share: what they add alone, less what they add together."""
    return Quantity({frozenset([first]): 1.0, frozenset([second]): 1.0, frozenset([first, second]): -1.0, EMPTY: -1.0})


def shapley(player: str, players: list[str]) -> Quantity:
    """The mean over all orders of what a player adds to those before it (Shapley 1953)."""
    n, coefficients = len(players), {}
    for others in every_set([other for other in players if other != player]):
        weight = factorial(len(others)) * factorial(n - 1 - len(others)) / factorial(n)
        coefficients[others | {player}] = coefficients.get(others | {player}, 0.0) + weight
        coefficients[others] = coefficients.get(others, 0.0) - weight
    return Quantity(coefficients)


def in_order(player: str, order: list[str]) -> Quantity:
    """What a player adds to those before it in one order."""
    before = frozenset(order[: order.index(player)])
    return difference(before | {player}, before)


def mean_over(orders: list[list[str]], player: str) -> Quantity:
    """The mean over some orders of what a player adds to those before it."""
    coefficients = {}
    for order in orders:
        for members, number in in_order(player, order).coefficients.items():
            coefficients[members] = coefficients.get(members, 0.0) + number / len(orders)
    return Quantity(coefficients)


def antithetic_orders(players: list[str], n: int, seed: int) -> list[list[str]]:
    """``n`` orders drawn at random, each followed by its reverse, which lessens the error of the draw."""
    rng, orders = np.random.default_rng(seed), []
    while len(orders) < n:
        order = [players[place] for place in rng.permutation(len(players))]
        orders += [order, order[::-1]]
    return orders[:n]


def sets_of(quantities: list[Quantity]) -> list[frozenset[str]]:
    """Every set that the quantities need, small ones first."""
    needed = {members for quantity in quantities for members in quantity.coefficients}
    return sorted(needed, key=lambda members: (len(members), sorted(map(str, members))))
