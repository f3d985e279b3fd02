"""How far two float32 computations of the same number may lie apart on different processors."""

import numpy as np


def rounding(values, units=16):
    """``units`` units in the last place of the largest of float32 ``values``, or of 0.5 where all are smaller.

    A difference of two numbers is as precise as they are, however small it is: pass the numbers that were subtracted.
    What a network adds up on its way to a small logit is of the order of 1.
    """
    return units * float(np.spacing(np.float32(max(0.5, np.abs(np.asarray(values, dtype=float)).max()))))
