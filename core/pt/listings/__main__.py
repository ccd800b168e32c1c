"""`python -m core.pt.listings 000` runs the program of document 000."""

from core.documents import run

if __name__ == "__main__":
    run("core.pt.listings")
