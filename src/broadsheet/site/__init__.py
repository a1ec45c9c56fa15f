"""The Django project: feed, paper pages, claims, search. Needs the extra ``site``."""
