"""`make bench`: what a stack costs, beside the same made by hand."""
