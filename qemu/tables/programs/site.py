# SPDX-License-Identifier: GPL-2.0-only
"""What a web site has in memory: models, query sets, compiled templates, rendered pages, sessions, log records."""
import datetime
import logging
import random
import time
import uuid

import django
from django.conf import settings
from django.template import engines

settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
                   TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
                   DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
                   DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402

call_command("migrate", verbosity=0)
rng = random.Random(33)
Group.objects.bulk_create(Group(name=f"group {n}") for n in range(50))
User.objects.bulk_create(
    User(username=f"user{n}", email=f"{rng.choice('abcd')}{n}@example.org", first_name=rng.choice(("Ann", "Bo", "Cy")), password="!",
         last_login=datetime.datetime.fromtimestamp(1.6e9 + rng.random() * 1e8)) for n in range(12000))
users = list(User.objects.all())
templates = [engines["django"].from_string("<h1>{{ user.username }}</h1>{% for g in groups %}<li>{{ g.name|title }}</li>{% endfor %}"
                                           "{% if user.is_staff %}staff" + str(n)
                                           + "{% endif %}{{ now|date:'D d M Y' }}") for n in range(300)]
groups = list(Group.objects.all())
pages = {str(uuid.UUID(int=rng.getrandbits(128))):
         rng.choice(templates).render({"user": user, "groups": groups[:9], "now": user.last_login})
         for user in users[:4000]}
sessions = {uuid.UUID(int=rng.getrandbits(128)): {"user": user, "cart": [rng.randrange(999) for _ in range(3)], "since": user.last_login,
                                                  "next": lambda user=user: user.username} for user in users}
records = [logging.LogRecord("site", logging.INFO, "views.py", n, "GET /page/%d", (n,), None) for n in range(8000)]
permissions = list(Permission.objects.select_related())
time.sleep(100)
