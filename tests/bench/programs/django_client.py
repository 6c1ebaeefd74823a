"""Django's test client against a small shop (shop/): URLs, middleware, sessions, forms, templates, the ORM on SQLite in
memory; until it is killed. Prints "ready".
"""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import django  # noqa: E402
from django.conf import settings  # noqa: E402

settings.configure(
    SECRET_KEY="a bench has no secrets", ALLOWED_HOSTS=["testserver"], ROOT_URLCONF="shop.urls", USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.messages", "shop"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
                "django.middleware.gzip.GZipMiddleware", "shop.middleware.request_id"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]}}])
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from shop.models import Product, Review, Tag  # noqa: E402

dice = random.Random(2)


def fill():
    call_command("migrate", run_syncdb=True, verbosity=0)
    tags = Tag.objects.bulk_create(Tag(name="tag %d" % n) for n in range(12))
    for n in range(120):
        p = Product.objects.create(name="thing %d" % n, price=dice.randint(1, 9999), text="Made of <wood> & wire. " * dice.randint(1, 9))
        p.tags.set(dice.sample(tags, dice.randint(0, 4)))
        Review.objects.bulk_create(Review(product=p, stars=dice.randint(1, 5), text="so so") for _ in range(dice.randint(0, 5)))
    return [get_user_model().objects.create_user("user%d" % n, password="x") for n in range(4)]


def visit(client):
    what, n = dice.random(), dice.randint(1, 122)
    if what < 0.35:
        answer = client.get("/", {"page": dice.randint(1, 7), "tag": dice.choice(["", "tag 3", "tag 7"])})
    elif what < 0.65:
        answer = client.get("/product/%d/" % n)
    elif what < 0.8:
        answer = client.post("/product/%d/review/" % n, {"stars": dice.randint(0, 6), "text": "it is %d" % n}, follow=True)
    elif what < 0.9:
        answer = client.get("/api/products/", {"under": dice.randint(100, 9999)}, headers={"accept-encoding": "gzip"})
    else:
        answer = client.get("/mine/", follow=True)
    assert answer.status_code in (200, 404), answer.status_code


users = fill()
setup_test_environment()  # as test runners do: each template rendered is told of
clients = [Client() for _ in users]
for client, user in zip(clients, users):
    client.force_login(user)
clients.append(Client())  # nobody
visit(clients[0])
print("ready", flush=True)
while True:
    for client in clients:
        visit(client)
    if Review.objects.count() > 2000:
        Review.objects.filter(pk__in=Review.objects.order_by("pk").values("pk")[:1000]).delete()
