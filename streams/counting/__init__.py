"""What follows from verdicts: tallies rolled up for watching, and rows for the store."""
