"""Whole collections at once, without server or store: the functions of core and state, driven from files."""
