"""Meeseeks-zh: Chinese instructions taken apart into sub-questions, judged by rules and by models."""
