"""Code execution: LeetCode problems."""
