"""What the chapters show with: figures, tables, and the source they run."""
