"""The tables: papers, their authors and organisations, and the days on which they were listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.urls import reverse

from broadsheet.site.papers import names


class Organisation(models.Model):
    """An organisation that papers come from, as a source names it."""

    handle = models.CharField(max_length=200, unique=True)
    name = models.CharField(max_length=300)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the address of the organisation's page."""
        return reverse("organisation", args=[self.handle])


class Author(models.Model):
    """A name under which papers were written. Two people of one name are one row: sources give no more."""

    name = models.CharField(max_length=300)
    slug = models.CharField(max_length=320, unique=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the address of the author's page."""
        return reverse("author", args=[self.slug])


class Paper(models.Model):
    """One paper, whatever number of sources and days it came from."""

    arxiv_id = models.CharField(max_length=40, unique=True, null=True, blank=True)
    version = models.PositiveSmallIntegerField(null=True, blank=True)
    # The paper's address before (and, by redirect, after) its arXiv id is known. Never changes.
    slug = models.CharField(max_length=120, unique=True)
    title = models.TextField()
    # See names.stored_title_key: two writings of one title have one key, however long they are.
    title_key = models.CharField(max_length=500, db_index=True)
    abstract = models.TextField(blank=True)
    authors_text = models.TextField(
        blank=True, help_text="Names in order, joined by '; ': for lists and search."
    )
    author_count = models.PositiveIntegerField(null=True, blank=True)
    authors = models.ManyToManyField(Author, through="Authorship", related_name="papers")
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.SET_NULL, related_name="papers"
    )
    organisation_text = models.CharField(max_length=500, blank=True, help_text="Handle and name, for search.")
    published_on = models.DateField(null=True, blank=True)
    updated_on = models.DateField(null=True, blank=True)
    dated = models.DateField(
        null=True, blank=True, help_text="The day it is sorted by: published, else first listed."
    )
    year = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Year of its first version, from its date or its arXiv id."
    )
    categories = models.CharField(
        max_length=500, blank=True, help_text="Joined by a space, the primary first."
    )
    comment = models.TextField(blank=True)
    journal_ref = models.TextField(blank=True)
    doi = models.CharField(max_length=300, blank=True)
    project_page = models.URLField(max_length=500, blank=True)
    code_url = models.URLField(max_length=500, blank=True)
    comments_at_save = models.PositiveIntegerField(null=True, blank=True)
    upvotes_at_source = models.IntegerField(null=True, blank=True)
    withdrawn = models.BooleanField(default=False)
    sources = models.CharField(
        max_length=200, blank=True, help_text="Where it came from, sorted and joined by a space."
    )
    text_source = models.CharField(
        max_length=20, blank=True, help_text="The source that its title, abstract and authors come from."
    )
    # 'family/slug' of the built-in paper with claims and a method; empty for all others.
    method = models.CharField(max_length=200, blank=True)
    summary = models.TextField(blank=True, help_text="Our own summary of a built-in paper.")
    first_seen = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-dated", "-id"]
        indexes = [
            models.Index(fields=["-dated", "-id"], name="paper_newest"),
            models.Index(fields=["year"], name="paper_year"),
            models.Index(fields=["method"], name="paper_method", condition=models.Q(method__gt="")),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the columns that follow from others brought up to date."""
        if kwargs.get("update_fields") is None:
            self.settle(self.listings.values_list("day", flat=True) if self.pk else ())
        super().save(*args, **kwargs)

    def settle(self, days: Iterable[dt.date]) -> None:
        """Work out ``title_key``, ``year`` and ``dated`` from the other columns.

        Args:
            days: The days on which the paper was listed.
        """
        self.title_key = names.stored_title_key(self.title)
        month = names.arxiv_month(self.arxiv_id)
        first = self.published_on or month
        self.year = first.year if first else None
        self.dated = self.published_on or min(days, default=month)

    @property
    def key(self) -> str:
        """The id in the paper's address: its arXiv id where known, else its slug."""
        return self.arxiv_id or self.slug

    def get_absolute_url(self) -> str:
        """Return the address of the paper's page."""
        return reverse("paper", args=[self.key])


class Authorship(models.Model):
    """A name in its place on a paper."""

    # No index of its own: the constraint's begins with it.
    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="authorships", db_index=False)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="authorships")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["paper_id", "position"]
        constraints = [models.UniqueConstraint(fields=["paper", "position"], name="one_author_a_place")]

    def __str__(self) -> str:
        return f"{self.author_id} at {self.position} on {self.paper_id}"


class Listing(models.Model):
    """A day's list on which a paper stood. A paper can stand on two days."""

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="listings", db_index=False)
    day = models.DateField()
    source = models.CharField(max_length=20)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-day", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["paper", "day", "source"], name="once_a_day_and_source")
        ]
        indexes = [models.Index(fields=["-day", "paper"], name="listing_feed")]

    def __str__(self) -> str:
        return f"{self.paper_id} on {self.day}"


class FormerTitle(models.Model):
    """A title that a paper once bore, so that a list which still names it so is understood."""

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="former_titles", db_index=False)
    title_key = models.CharField(max_length=500, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["paper", "title_key"], name="once_a_former_title")]

    def __str__(self) -> str:
        return self.title_key


class Mark(models.Model):
    """Something the program keeps about the database itself, such as which built-in papers it holds."""

    name = models.CharField(max_length=50, unique=True)
    value = models.TextField()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"
