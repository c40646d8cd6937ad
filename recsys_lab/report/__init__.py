"""Results for people: the table at the end of a run, and the comparison of many runs."""
