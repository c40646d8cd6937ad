"""Records to items, pairs, split and held-out negatives, kept in prepared folders."""
