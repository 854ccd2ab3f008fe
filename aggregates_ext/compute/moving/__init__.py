"""Carrying out moves: guests on their way to other hosts (design#moves)."""
