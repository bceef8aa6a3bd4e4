"""Inference with the patient as the unit: designs, moderated tests, permutations, families, serum."""
