"""Compiled loops of the graph baselines; all release the GIL, so threads share the work.

Every kernel takes the symmetric graph as CSR (`indptr`, `indices`), sorted within rows, and
accumulates in float64.
"""

import numpy as np

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.prefetch import prefetch

ROWS_AHEAD, EDGES_AHEAD = 6, 16  # of what is loaded before it is needed


@jit()
def sum_common_pairs(indptr, indices, values, heads, tails, out):  # type: ignore[no-untyped-def]
    """out[p] = sum of values over the common neighbours; fastest if equal heads are adjacent."""
    marked = np.zeros(len(indptr) - 1, np.bool_)
    head = -1
    for p in range(len(heads)):
        if heads[p] != head:
            if head >= 0:
                marked[indices[indptr[head] : indptr[head + 1]]] = False
            head = heads[p]
            marked[indices[indptr[head] : indptr[head + 1]]] = True
        total = 0.0
        for edge in range(indptr[tails[p]], indptr[tails[p] + 1]):
            if marked[indices[edge]]:
                total += values[indices[edge]]
        out[p] = total


@jit()
def _grown(items, scores, size):  # type: ignore[no-untyped-def]
    """Both arrays with room for `size` entries; what they hold stays."""
    if size <= len(items):
        return items, scores
    more_items, more_scores = np.empty(2 * size, np.int32), np.empty(2 * size, np.float32)
    for k in range(len(items)):
        more_items[k], more_scores[k] = items[k], scores[k]
    return more_items, more_scores


@jit()
def list_common(indptr, indices, values, queries):  # type: ignore[no-untyped-def]
    """Sums of values >= 0 over the common neighbours of queries[q] and an item, where there are.

    Returns (Q + 1,) bounds, and between bounds[q] and bounds[q + 1] the items and their sums.
    """
    num_items = len(indptr) - 1
    total = np.zeros(num_items)
    touched = np.empty(num_items, np.int32)
    bounds = np.zeros(len(queries) + 1, np.int64)
    items, scores = np.empty(1024, np.int32), np.empty(1024, np.float32)
    for q in range(len(queries)):
        size = 0
        for edge in range(indptr[queries[q]], indptr[queries[q] + 1]):
            neighbor = indices[edge]
            if values[neighbor] <= 0.0:  # or total[j] == 0 would no longer mean "not touched"
                continue
            for second in range(indptr[neighbor], indptr[neighbor + 1]):
                j = indices[second]
                if total[j] == 0.0:
                    touched[size] = j
                    size += 1
                total[j] += values[neighbor]
        first = bounds[q]
        items, scores = _grown(items, scores, first + size)
        for t in range(size):
            items[first + t], scores[first + t] = touched[t], total[touched[t]]
            total[touched[t]] = 0.0
        bounds[q + 1] = first + size
    return bounds, items[: bounds[-1]], scores[: bounds[-1]]


@jit()
def _step(indptr, indices, weights, inverse, mass, items, size, ahead, ahead_items):  # type: ignore[no-untyped-def]
    """Move the probability in mass one step, into ahead; mass becomes 0. Returns ahead's size.

    Every item is noted and only new ones are kept: the processor could not foresee a branch.
    `ahead_items` has room for one more than all items.
    """
    ahead_size, last = 0, len(indices) - 1
    for f in range(size):
        prefetch(indptr, items[f])
        prefetch(inverse, items[f])
    for f in range(size):
        first = indptr[items[min(f + ROWS_AHEAD, size - 1)]]
        prefetch(indices, first)
        prefetch(indices, first + 16)
        prefetch(weights, first)
        prefetch(weights, first + 16)
        here = items[f]
        share = mass[here] * inverse[here]
        mass[here] = 0.0
        for edge in range(indptr[here], indptr[here + 1]):
            prefetch(ahead, indices[min(edge + EDGES_AHEAD, last)])
            moved, j = share * weights[edge], indices[edge]
            before = ahead[j]
            ahead_items[ahead_size] = j
            ahead_size += (before == 0.0) & (moved > 0.0)  # moved is 0 if the share underflows
            ahead[j] = before + moved
    return ahead_size


@jit()
def _spread(graph, start, step_weights, last, last_items, spare, spare_items, visits, visited):  # type: ignore[no-untyped-def]
    """Walk from start; last = chances of the last step, visits = their weighted sum over steps.

    Returns last, last_items and spare, spare_items (swapped at each step), then the
    number of entries in last_items and in visited.
    """
    indptr, indices, weights, inverse = graph
    last[start] = 1.0
    last_items[0] = start
    size, num_visited = np.int64(1), 0
    for step_weight in step_weights:
        size = _step(indptr, indices, weights, inverse, last, last_items, size, spare, spare_items)
        last, spare = spare, last
        last_items, spare_items = spare_items, last_items
        if step_weight == 0.0:  # or visits[j] == 0 would no longer mean "not visited"
            continue
        for f in range(size):
            j = last_items[f]
            if visits[j] == 0.0:
                visited[num_visited] = j
                num_visited += 1
            visits[j] += step_weight * last[j]
    return last, last_items, spare, spare_items, size, num_visited


@jit()
def walk_pairs(graph, step_weights, ends, heads, tails, out):  # type: ignore[no-untyped-def]
    """out[p] = R_ij (own_i + scale_i * other_j), R = sum over t of step_weights[t - 1] P ** t.

    P_ij is weights_ij * inverse_i, and `ends` are own, scale and other. It is fastest if equal
    heads are adjacent. One step fewer is walked from the head; the last step is taken from the
    tail's side.
    """
    indptr, indices, weights, inverse = graph
    own, scale, other = ends
    num_items = len(indptr) - 1
    last, spare = np.zeros(num_items), np.zeros(num_items)
    items, spare_items = np.empty(num_items + 1, np.int32), np.empty(num_items + 1, np.int32)
    low = 0
    while low < len(heads):
        head, high = heads[low], low
        while high < len(heads) and heads[high] == head:
            out[high] = 0.0
            high += 1
        last[head], items[0], size = 1.0, head, np.int64(1)
        for step_weight in step_weights[:-1]:
            size = _step(indptr, indices, weights, inverse, last, items, size, spare, spare_items)
            last, spare = spare, last
            items, spare_items = spare_items, items
            for p in range(low, high):
                out[p] += step_weight * last[tails[p]]
        for p in range(low, high):
            tail, reach = tails[p], 0.0
            for edge in range(indptr[tail], indptr[tail + 1]):
                reach += last[indices[edge]] * weights[edge] * inverse[indices[edge]]
            reach = out[p] + step_weights[-1] * reach
            out[p] = reach * (own[head] + scale[head] * other[tail])
        last[items[:size]] = 0.0
        low = high


@jit()
def list_walks(graph, step_weights, ends, queries):  # type: ignore[no-untyped-def]
    """The items that `walk_pairs` scores above 0 with queries[q]; returns as `list_common` does."""
    own, scale, other = ends
    num_items = len(other)
    last, spare, visits = np.zeros(num_items), np.zeros(num_items), np.zeros(num_items)
    last_items, spare_items = np.empty(num_items + 1, np.int32), np.empty(num_items + 1, np.int32)
    visited = np.empty(num_items, np.int32)
    bounds = np.zeros(len(queries) + 1, np.int64)
    items, scores = np.empty(1024, np.int32), np.empty(1024, np.float32)
    for q in range(len(queries)):
        last, last_items, spare, spare_items, size, num_visited = _spread(
            graph, queries[q], step_weights, last, last_items, spare, spare_items, visits, visited
        )
        own_share, share, first = own[queries[q]], scale[queries[q]], bounds[q]
        items, scores = _grown(items, scores, first + num_visited)
        for v in range(num_visited):
            j = visited[v]
            items[first + v], scores[first + v] = j, visits[j] * (own_share + share * other[j])
            visits[j] = 0.0
        last[last_items[:size]] = 0.0
        bounds[q + 1] = first + num_visited
    return bounds, items[: bounds[-1]], scores[: bounds[-1]]
