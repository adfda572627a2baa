"""The relative spacing of float64, which every tolerance here is a multiple of."""

import numpy as np

EPS = float(np.finfo(np.float64).eps)
