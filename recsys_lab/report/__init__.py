"""Many run folders to one comparison, and the table at the end of a run."""
