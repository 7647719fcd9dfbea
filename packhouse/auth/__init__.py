"""Tokens, scopes and ref policies: may this caller do this to this repository?"""
