"""The object: a weight per Gaussian, how to find it (shapes, masks, by itself), and the gate that keeps edits in it."""
