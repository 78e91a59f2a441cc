"""The small matrices of Winograd's minimal filtering, and the compiled maps made of them.

The outputs of a filter are coefficients of a product of polynomials. Toom and Cook multiply
polynomials by their values: take both at some points, multiply the values, and find the
coefficients of the polynomial that has these products as its values. Six points make six products,
in place of twelve for four outputs of three taps, or of ten for two outputs of five taps; what it
takes to get values and coefficients are small constant matrices. Winograd (1980) showed that six is
the least, and Lavin and Gray (2016, "Fast algorithms for convolutional neural networks", section 4)
used it, with the transposed algorithm, for the convolutions of networks:

    y = A^T [(G g) o (B^T d)]          d 6 inputs, g taps, y outputs, o products entry by entry

The points are 0, 1, -1, 2, -2 and infinity, where the value is the last coefficient. G takes the
values of the taps, scaled, and A^T adds up powers of the points; B^T, which does the rest, depends
on the points alone and is the same for three taps and for five. In two dimensions each map is
applied to the columns of a grid and then to its rows. The gradients need the transposes of A^T and
G.

For two taps (halving.py) five points do, for four outputs: -2 is left out. Their B^T is another.

Each map is a function here that takes and returns the numbers of a line;
tests/kernels/test_winograd.py makes matrices of them and multiplies out.
"""

from __future__ import annotations

from minidl.kernels.cpu.vector.linear_maps import transform_of

READS = 6  # inputs that a tile reads, in each direction, with three or five taps
READS_OF_TWO = 5  # and with two taps


def inputs_line(d0, d1, d2, d3, d4, d5):
    """B^T d: what the values of the other two polynomials are multiplied with."""
    even, odd = d4 - 4 * d2, d3 - 4 * d1
    even2, odd2 = d4 - d2, 2 * (d3 - d1)
    return (
        4 * d0 - 5 * d2 + d4,
        even + odd,
        even - odd,
        even2 + odd2,
        even2 - odd2,
        4 * d1 - 5 * d3 + d5,
    )


def kernel_line_3(g0, g1, g2):
    """G g: the values of g0 + g1 t + g2 t^2 at the points, scaled by 1/4, -1/6, 1/24 and 1."""
    sum1, sum2 = (1 / 6) * (g0 + g2), (1 / 24) * g0 + (1 / 6) * g2
    return (
        0.25 * g0,
        -1 * sum1 - (1 / 6) * g1,
        (1 / 6) * g1 - sum1,
        sum2 + (1 / 12) * g1,
        sum2 - (1 / 12) * g1,
        g2,
    )


def kernel_line_5(g0, g1, g2, g3, g4):
    """The same for g0 + g1 t + ... + g4 t^4."""
    even1, odd1 = (1 / 6) * (g0 + g2 + g4), (1 / 6) * (g1 + g3)
    even2 = (1 / 24) * g0 + (1 / 6) * g2 + (2 / 3) * g4
    odd2 = (1 / 12) * g1 + (1 / 3) * g3
    return 0.25 * g0, -1 * even1 - odd1, odd1 - even1, even2 + odd2, even2 - odd2, g4


def kernel_gradient_line_3(u0, u1, u2, u3, u4, u5):
    """G^T u, the transpose of kernel_line_3."""
    sum1, sum2 = u1 + u2, u3 + u4
    return (
        0.25 * u0 - (1 / 6) * sum1 + (1 / 24) * sum2,
        (1 / 6) * (u2 - u1) + (1 / 12) * (u3 - u4),
        (1 / 6) * (sum2 - sum1) + u5,
    )


def kernel_gradient_line_5(u0, u1, u2, u3, u4, u5):
    """G^T u, the transpose of kernel_line_5."""
    sum1, difference1, sum2, difference2 = u1 + u2, u2 - u1, u3 + u4, u3 - u4
    return (
        0.25 * u0 - (1 / 6) * sum1 + (1 / 24) * sum2,
        (1 / 6) * difference1 + (1 / 12) * difference2,
        (1 / 6) * (sum2 - sum1),
        (1 / 6) * difference1 + (1 / 3) * difference2,
        (2 / 3) * sum2 - (1 / 6) * sum1 + u5,
    )


def outputs_line_4(m0, m1, m2, m3, m4, m5):
    """A^T m: four outputs from six products."""
    sum1, difference1, sum2, difference2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + sum1 + sum2,
        difference1 + 2 * difference2,
        sum1 + 4 * sum2,
        difference1 + 8 * difference2 + m5,
    )


def outputs_line_2(m0, m1, m2, m3, m4, m5):
    """The first of them, and the second, which here is the last."""
    return m0 + m1 + m2 + (m3 + m4), m1 - m2 + 2 * (m3 - m4) + m5


def output_gradient_line_4(y0, y1, y2, y3):
    """A y, the transpose of outputs_line_4."""
    even1, odd1, even2, odd2 = y0 + y2, y1 + y3, y0 + 4 * y2, 2 * y1 + 8 * y3
    return y0, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, y3


def output_gradient_line_2(y0, y1):
    """A y, the transpose of outputs_line_2."""
    return y0, y0 + y1, y0 - y1, y0 + 2 * y1, y0 - 2 * y1, y1


def inputs_line_of_two(d0, d1, d2, d3, d4):
    """B^T d for five points."""
    odd = d3 - d1
    return (
        2 * (d0 - d2) + odd,
        d3 - d2 - 2 * d1,
        2 * d1 - 3 * d2 + d3,
        odd,
        d4 - d2 - 2 * odd,
    )


def kernel_line_2(g0, g1):
    """G g: the values of g0 + g1 t at the points, scaled by 1/2, -1/2, -1/6, 1/6 and 1."""
    return (
        0.5 * g0,
        -0.5 * (g0 + g1),
        (1 / 6) * (g1 - g0),
        (1 / 6) * g0 + (1 / 3) * g1,
        g1,
    )


def kernel_gradient_line_2(u0, u1, u2, u3, u4):
    """G^T u, the transpose of kernel_line_2."""
    return (
        0.5 * (u0 - u1) + (1 / 6) * (u3 - u2),
        (1 / 6) * u2 + (1 / 3) * u3 + u4 - 0.5 * u1,
    )


def outputs_line_of_two(m0, m1, m2, m3, m4):
    """A^T m: four outputs from five products."""
    sum1, difference1 = m1 + m2, m1 - m2
    return m0 + sum1 + m3, difference1 + 2 * m3, sum1 + 4 * m3, difference1 + 8 * m3 + m4


def output_gradient_line_of_two(y0, y1, y2, y3):
    """A y, the transpose of outputs_line_of_two."""
    even, odd = y0 + y2, y1 + y3
    return y0, even + odd, even - odd, y0 + 2 * y1 + 4 * y2 + 8 * y3, y3


transform_inputs_of_two = transform_of(inputs_line_of_two, READS_OF_TWO)
transform_kernel_2 = transform_of(kernel_line_2, 2)
transform_kernel_gradients_2 = transform_of(kernel_gradient_line_2, READS_OF_TWO)
transform_outputs_of_two = transform_of(outputs_line_of_two, READS_OF_TWO)
transform_output_gradients_of_two = transform_of(output_gradient_line_of_two, 4)
transform_inputs = transform_of(inputs_line, READS)
transform_kernel_3 = transform_of(kernel_line_3, 3)
transform_kernel_5 = transform_of(kernel_line_5, 5)
transform_kernel_gradients_3 = transform_of(kernel_gradient_line_3, READS)
transform_kernel_gradients_5 = transform_of(kernel_gradient_line_5, READS)
transform_outputs_4 = transform_of(outputs_line_4, READS)
transform_outputs_2 = transform_of(outputs_line_2, READS)
transform_output_gradients_4 = transform_of(output_gradient_line_4, 4)
transform_output_gradients_2 = transform_of(output_gradient_line_2, 2)
