"""Compiled loops of `local_ease`; all release the GIL, so threads share the work.

X_ui = left_u * right_i where u and i are a training pair, and `graph` is indptr, indices, left and
right. Loops over entries that lie side by side are vectorised; their sums do not depend on it.
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit


@jit()
def solve_columns(graph, diagonal, ridge, first, items, weights, sizes):  # type: ignore[no-untyped-def]
    """Fill the columns first, first + 1, ... of B: their items, weights, and how many there are.

    `diagonal` is that of XᵀX, `ridge` is added to it.
    """
    num_items, width = len(diagonal), items.shape[1]
    products = np.zeros(num_items)
    touched = np.empty(num_items, np.int32)
    latest = np.full(num_items, -1, np.int64)
    gram, right_side = np.empty((width, width)), np.empty(width)
    for row in range(len(items)):
        column = first + row
        count = _multiply(graph, column, products, touched)
        gains = np.empty(count)
        for t in range(count):
            i = touched[t]
            gains[t] = products[i] ** 2 / (diagonal[i] + ridge) if i != column else -1.0
        size = max(min(width, count - 1), 0)  # the item itself comes last
        best = np.argsort(-gains, kind="mergesort")[:size]
        for t in range(size):
            items[row, t] = touched[best[t]]
            right_side[t] = products[touched[best[t]]]
        products[touched[:count]] = 0.0
        _gram_of(graph, items[row, :size], latest, gram)
        for t in range(size):
            gram[t, t] += ridge
        _solve(gram, right_side, size)
        weights[row, :size] = right_side[:size]
        sizes[row] = size


@jit()
def _multiply(graph, column, products, touched):  # type: ignore[no-untyped-def]
    """Column of XᵀX into products, which comes as 0; touched has its entries. Returns how many."""
    indptr, indices, left, right = graph
    count = 0
    for edge in range(indptr[column], indptr[column + 1]):
        user = indices[edge]
        weight = left[user] * left[user] * right[column]
        for second in range(indptr[user], indptr[user + 1]):
            i = indices[second]
            if products[i] == 0.0:
                touched[count] = i
                count += 1
            products[i] += weight * right[i]
    return count


@jit()
def _gram_of(graph, items, latest, gram):  # type: ignore[no-untyped-def]
    """The upper triangle of XᵀX of some columns; latest comes and goes as -1.

    The columns that a user has are a chain: `latest` starts it, `before` goes on.
    """
    indptr, indices, left, right = graph
    total = 0
    for i in items:
        total += indptr[i + 1] - indptr[i]
    before, member = np.empty(total, np.int64), np.empty(total, np.int32)
    gram[: len(items), : len(items)] = 0.0
    place = 0
    for column in range(len(items)):
        for edge in range(indptr[items[column]], indptr[items[column] + 1]):
            user = indices[edge]
            before[place], member[place] = latest[user], column
            latest[user] = place
            weight = left[user] * left[user] * right[items[column]]
            other = place
            while other >= 0:
                gram[member[other], column] += weight * right[items[member[other]]]
                other = before[other]
            place += 1
    for i in items:
        latest[indices[indptr[i] : indptr[i + 1]]] = -1


@jit()
def _solve(matrix, right_side, size):  # type: ignore[no-untyped-def]
    """right_side becomes the solution; the upper triangle of matrix becomes its Cholesky factor.

    Four rows of the factor are subtracted from the rows below at a time, which reads these a
    quarter as often.
    """
    for first in range(0, size, 4):
        last = min(first + 4, size)
        for k in range(first, last):
            pivot = 1.0 / np.sqrt(matrix[k, k])
            for b in range(k, size):
                matrix[k, b] *= pivot
            right_side[k] *= pivot
            for a in range(k + 1, last):
                factor, row, below = matrix[k, a], matrix[k, a:size], matrix[a, a:size]
                for b in range(len(below)):
                    below[b] -= factor * row[b]
                right_side[a] -= factor * right_side[k]
        for a in range(last, size):  # only where there are four rows
            below, sides = matrix[a, a:size], right_side[first:last]
            row, second = matrix[first, a:size], matrix[first + 1, a:size]
            third, fourth = matrix[first + 2, a:size], matrix[first + 3, a:size]
            p, q, r, s = row[0], second[0], third[0], fourth[0]
            for b in range(len(below)):
                below[b] -= p * row[b] + q * second[b] + r * third[b] + s * fourth[b]
            right_side[a] -= p * sides[0] + q * sides[1] + r * sides[2] + s * sides[3]
    for k in range(size - 1, -1, -1):
        total = right_side[k]
        for a in range(k + 1, size):
            total -= matrix[k, a] * right_side[a]
        right_side[k] = total / matrix[k, k]


@jit()
def score_local(graph, columns, heads, tails, out):  # type: ignore[no-untyped-def]
    """out[p] = S + Sᵀ of a pair; fastest if equal heads are adjacent."""
    indptr, indices, left, right = graph
    offsets, items, weights = columns
    shares, own = np.zeros(len(left)), np.zeros(len(left))  # of the row of X, the column of B
    head = -1
    for p in range(len(heads)):
        if heads[p] != head:
            if head >= 0:
                shares[indices[indptr[head] : indptr[head + 1]]] = 0.0
                own[items[offsets[head] : offsets[head + 1]]] = 0.0
            head = heads[p]
            for edge in range(indptr[head], indptr[head + 1]):
                shares[indices[edge]] = left[head] * right[indices[edge]]
            for entry in range(offsets[head], offsets[head + 1]):
                own[items[entry]] = weights[entry]
        tail, total = tails[p], 0.0
        for entry in range(offsets[tail], offsets[tail + 1]):
            total += shares[items[entry]] * weights[entry]
        for edge in range(indptr[tail], indptr[tail + 1]):
            total += left[tail] * right[indices[edge]] * own[indices[edge]]
        out[p] = total
