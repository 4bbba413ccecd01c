"""One turn of the weekly loop, step by step, each resumable."""
