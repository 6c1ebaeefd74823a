"""A small Django application, for django_client.py."""
