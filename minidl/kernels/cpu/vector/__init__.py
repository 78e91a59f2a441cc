"""Vector instructions, and what the kernels build from them in registers.

Code that emits instructions (intrinsics; each also stands there in plain Python):

    instructions.py     widths of this processor's vectors; loads, stores, multiply-add, ...
    linear_maps.py      a small linear map, applied to the columns and rows of a grid of vectors
    block_products.py   a block of a matrix product
    lane_products.py    products where each lane of a vector is another picture
    tap_products.py     products with the taps of a window, channel by channel
    squares.py          squared differences between numbers and windows of an array
    moves.py            copies, zeros, transposed squares, prefetches

Compiled loops over these:

    matrix_product.py   products of matrices of any number of rows
    panels.py           those of a few rows with a matrix that stays as it is
    transpose.py        transposed matrices
"""
