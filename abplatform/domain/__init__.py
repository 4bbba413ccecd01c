"""What things are: words, types and rules, without any input or output."""
