"""Figures as SVG: the same bytes when the solver of a layout ends in other last digits."""

import matplotlib.pyplot as plt
import pytest

from intronaut.plots.svg import save_svg


@pytest.mark.parametrize("change", [1e-15, 1e-14, 1e-13])
def test_a_layout_that_differs_in_the_last_digits_gives_the_same_bytes(tmp_path, change):
    drawn = []
    for share in (0.9, 0.9 - change):
        figure, axes = plt.subplots(2, 2, layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, share, share))
        axes[0, 0].plot([0, 1], [0, 1])
        axes[1, 1].set_ylabel("a label that takes room")
        save_svg(figure, tmp_path / "figure.svg")
        drawn.append((tmp_path / "figure.svg").read_text())
    assert drawn[0] == drawn[1] and "clipPath" in drawn[0]
