"""Ad texts: short, on the product, and no fact that its brief does not hold."""
