"""The simulated trial: profiles, planted effects, and the truth beside them."""
