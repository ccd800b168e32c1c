"""What the chapters show with: figures, tables, the source they run, and the two
frameworks beside each other."""
