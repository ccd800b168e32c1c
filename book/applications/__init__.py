"""What one chapter alone needs, and what only the applications share.

One module an application has its data, tokenizer, environment and settings.
"""
