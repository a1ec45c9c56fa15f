"""The full-text index over the papers, kept in step by triggers."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from broadsheet.search import schema

INDEX = schema.Index(
    table="papers_search",
    content="papers_paper",
    key="id",
    columns=(
        schema.Column("title", weight=3.0),
        schema.Column("abstract"),
        schema.Column("authors_text", weight=1.5, is_prose=False),
        schema.Column("organisation_text", is_prose=False),
        # Also each category as one word: "cs.LG" as csxlg, which is found faster than a phrase.
        schema.Column(
            "categories",
            sql="{0} || ' ' || replace(replace({0}, '.', 'x'), '-', 'x')",
            weight=0.5,
            is_prose=False,
        ),
        schema.Column("summary"),
        schema.Column("arxiv_id", is_prose=False),
        # Marked, so that the word 2025 does not find all of that year.
        schema.Column("year", sql="'y' || {}", weight=0.0, is_prose=False),
    ),
)


def create(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "sqlite":
        for statement in schema.create(INDEX):
            editor.execute(statement)


def drop(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "sqlite":
        for statement in schema.drop(INDEX):
            editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("papers", "0001_tables")]

    operations = [migrations.RunPython(create, drop)]
