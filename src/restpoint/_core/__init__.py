"""Values and rules that do no I/O."""
