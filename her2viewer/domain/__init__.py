"""Values that flow through the program: geometry, annotations, classes, shares, evidence, results."""
