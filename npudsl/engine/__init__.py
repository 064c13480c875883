"""Clock and processes: decides what runs, runs it, and remembers enough to say why."""
