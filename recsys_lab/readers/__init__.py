"""Files to records, with an account of every line."""
