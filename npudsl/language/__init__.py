"""Text to checked program: parse, evaluate, check, and the meaning of override rules."""
