"""The source documents' programs, repaired, a module for each document."""
