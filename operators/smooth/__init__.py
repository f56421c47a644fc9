"""Smoothers: each adds to every row its value with the noise taken out."""
