"""The data, tokenizer and environment of each application, one a module."""
