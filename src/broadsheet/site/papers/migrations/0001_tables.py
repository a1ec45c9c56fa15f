import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Author",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=300)),
                ("slug", models.CharField(max_length=320, unique=True)),
            ],
            options={
                "ordering": ["name", "id"],
            },
        ),
        migrations.CreateModel(
            name="Mark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=50, unique=True)),
                ("value", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="Organisation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("handle", models.CharField(max_length=200, unique=True)),
                ("name", models.CharField(max_length=300)),
            ],
            options={
                "ordering": ["name", "id"],
            },
        ),
        migrations.CreateModel(
            name="Authorship",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="authorships",
                        to="papers.author",
                    ),
                ),
            ],
            options={
                "ordering": ["paper_id", "position"],
            },
        ),
        migrations.CreateModel(
            name="Paper",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("arxiv_id", models.CharField(blank=True, max_length=40, null=True, unique=True)),
                ("version", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("slug", models.CharField(max_length=120, unique=True)),
                ("title", models.TextField()),
                ("title_key", models.CharField(db_index=True, max_length=500)),
                ("abstract", models.TextField(blank=True)),
                (
                    "authors_text",
                    models.TextField(
                        blank=True, help_text="Names in order, joined by '; ': for lists and search."
                    ),
                ),
                ("author_count", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "organisation_text",
                    models.CharField(blank=True, help_text="Handle and name, for search.", max_length=500),
                ),
                ("published_on", models.DateField(blank=True, null=True)),
                ("updated_on", models.DateField(blank=True, null=True)),
                (
                    "dated",
                    models.DateField(
                        blank=True,
                        help_text="The day it is sorted by: published, else first listed.",
                        null=True,
                    ),
                ),
                (
                    "year",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Year of its first version, from its date or its arXiv id.",
                        null=True,
                    ),
                ),
                (
                    "categories",
                    models.CharField(
                        blank=True, help_text="Joined by a space, the primary first.", max_length=500
                    ),
                ),
                ("comment", models.TextField(blank=True)),
                ("journal_ref", models.TextField(blank=True)),
                ("doi", models.CharField(blank=True, max_length=300)),
                ("project_page", models.URLField(blank=True, max_length=500)),
                ("code_url", models.URLField(blank=True, max_length=500)),
                ("comments_at_save", models.PositiveIntegerField(blank=True, null=True)),
                ("upvotes_at_source", models.IntegerField(blank=True, null=True)),
                ("withdrawn", models.BooleanField(default=False)),
                (
                    "sources",
                    models.CharField(
                        blank=True,
                        help_text="Where it came from, sorted and joined by a space.",
                        max_length=200,
                    ),
                ),
                (
                    "text_source",
                    models.CharField(
                        blank=True,
                        help_text="The source that its title, abstract and authors come from.",
                        max_length=20,
                    ),
                ),
                ("method", models.CharField(blank=True, max_length=200)),
                ("summary", models.TextField(blank=True, help_text="Our own summary of a built-in paper.")),
                ("first_seen", models.DateTimeField(auto_now_add=True)),
                (
                    "authors",
                    models.ManyToManyField(
                        related_name="papers", through="papers.Authorship", to="papers.author"
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="papers",
                        to="papers.organisation",
                    ),
                ),
            ],
            options={
                "ordering": ["-dated", "-id"],
            },
        ),
        migrations.CreateModel(
            name="Listing",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("source", models.CharField(max_length=20)),
                ("position", models.PositiveIntegerField(default=0)),
                (
                    "paper",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="listings",
                        to="papers.paper",
                    ),
                ),
            ],
            options={
                "ordering": ["-day", "position", "id"],
            },
        ),
        migrations.CreateModel(
            name="FormerTitle",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title_key", models.CharField(db_index=True, max_length=500)),
                (
                    "paper",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former_titles",
                        to="papers.paper",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="authorship",
            name="paper",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="authorships",
                to="papers.paper",
            ),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(fields=["-dated", "-id"], name="paper_newest"),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(fields=["year"], name="paper_year"),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(
                condition=models.Q(("method__gt", "")), fields=["method"], name="paper_method"
            ),
        ),
        migrations.AddIndex(
            model_name="listing",
            index=models.Index(fields=["-day", "paper"], name="listing_feed"),
        ),
        migrations.AddConstraint(
            model_name="listing",
            constraint=models.UniqueConstraint(
                fields=("paper", "day", "source"), name="once_a_day_and_source"
            ),
        ),
        migrations.AddConstraint(
            model_name="formertitle",
            constraint=models.UniqueConstraint(fields=("paper", "title_key"), name="once_a_former_title"),
        ),
        migrations.AddConstraint(
            model_name="authorship",
            constraint=models.UniqueConstraint(fields=("paper", "position"), name="one_author_a_place"),
        ),
    ]
