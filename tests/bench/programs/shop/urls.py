from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="index"),
    path("product/<int:pk>/", views.Detail.as_view(), name="detail"),
    path("product/<int:pk>/review/", views.review, name="review"),
    path("api/products/", views.api),
    path("mine/", views.mine, name="mine"),
]
