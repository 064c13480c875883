"""What ``npu diff`` compares and how it says it: two sides, their programs, tables and locks, as text and Markdown."""
