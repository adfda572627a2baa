"""The machine epsilon of float64, of which every tolerance here is a multiple."""

import numpy as np

EPS = float(np.finfo(np.float64).eps)
