"""Count matrices: the forms that users have, the one that travels between steps, and what is refused."""
