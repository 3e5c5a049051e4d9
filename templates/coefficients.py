# SPDX-License-Identifier: Apache-2.0
"""Where the numbers of math.h come from: python3 templates/coefficients.py prints them.

Each polynomial is the best one in the sense of its largest weighted error, found by Remez' exchange in double
precision (standard library only), then rounded to float, coefficients of low degree first. The last column is the
largest weighted error before rounding. Weights turn errors of the polynomial into relative errors of the function.
"""
import math
import struct


def solve(rows):
    """Gaussian elimination of [A | b] with pivoting."""
    n = len(rows)
    for i in range(n):
        p = max(range(i, n), key=lambda k: abs(rows[k][i]))
        rows[i], rows[p] = rows[p], rows[i]
        for k in range(i + 1, n):
            f = rows[k][i] / rows[i][i]
            rows[k] = [a - f * b for a, b in zip(rows[k], rows[i])]
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (rows[i][n] - sum(rows[i][k] * x[k] for k in range(i + 1, n))) / rows[i][i]
    return x


def remez(f, weight, low, high, degree):
    """Coefficients of the polynomial p of that degree with the least max |f - p| * weight on [low, high]."""
    n = degree + 2
    mid, half = (low + high) / 2, (high - low) / 2
    at = [mid - half * math.cos(math.pi * k / (n - 1)) for k in range(n)]
    grid = [mid - half * math.cos(math.pi * k / 20000) for k in range(20001)]
    values = [(x, f(x), weight(x)) for x in grid]
    for _ in range(30):
        c = solve([[x ** k for k in range(n - 1)] + [(-1) ** i / weight(x), f(x)] for i, x in enumerate(at)])[:-1]
        error = [(y - sum(a * x ** k for k, a in enumerate(c))) * w for x, y, w in values]
        peaks = []      # the largest error of each run of one sign
        for x, e in zip(grid, error):
            if peaks and (peaks[-1][1] < 0) == (e < 0):
                if abs(e) > abs(peaks[-1][1]):
                    peaks[-1] = (x, e)
            else:
                peaks.append((x, e))
        while len(peaks) > n:
            peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
        if len(peaks) < n:
            break
        at = [x for x, _ in peaks]
    return c, max(map(abs, error))


def as_float(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def hexadecimal(x):
    """A float as C prints it with %a: no zeros at the end."""
    mantissa, exponent = as_float(x).hex().split("p")
    return mantissa.rstrip("0").rstrip(".") + "p" + exponent + "f"


def show(name, result):
    c, error = result
    print(name, ", ".join(hexadecimal(x) for x in c), "error %.2g" % error)


def exp_rest(r):
    """(exp(r) - 1 - r) / r^2 by its series."""
    return math.fsum(r ** k / math.factorial(k + 2) for k in range(20))


def atanh_over(s2):
    """atanh(s) / s as a function of s^2."""
    return math.fsum(s2 ** k / (2 * k + 1) for k in range(40))


def erf_over(x2):
    """erf(x) / x - 1 as a function of x^2."""
    return 2 / math.sqrt(math.pi) * math.fsum(
        (-x2) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(30)) - 1


def log_erfc_over(t):
    """log(1 - erf(t)) / t + 1."""
    return math.log(math.erfc(t)) / t + 1


r = math.log(2) / 2 * 1.0001
show("exp", remez(exp_rest, lambda x: x * x * math.exp(-x) + 1e-3, -r, r, 4))
show("softplus", remez(atanh_over, lambda x: 1 / atanh_over(x), 0, 1 / 9, 4))
show("erf, |x| < 1", remez(erf_over, lambda x: 1 / (1 + erf_over(x)), 0, 1, 6))
show("erf, |x| >= 1", remez(log_erfc_over, lambda t: t * math.erfc(t) / math.erf(t), 1, 4, 5))
