"""What a run folder holds, written and read in one place."""
