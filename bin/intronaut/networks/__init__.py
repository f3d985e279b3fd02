"""Sei, DNABERT-2, trainable classifiers, training, device."""
