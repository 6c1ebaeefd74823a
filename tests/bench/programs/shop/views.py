from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Avg, Count, Q
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import DetailView

from .models import Product, Review


class ReviewForm(forms.ModelForm):
    class Meta:
        model = Review
        fields = ["stars", "text"]

    def clean_text(self):
        text = self.cleaned_data["text"].strip()
        if "13" in text:
            raise forms.ValidationError("no bad luck here")
        return text.capitalize()


def index(request):
    products = Product.objects.annotate(stars=Avg("reviews__stars"), n=Count("reviews", distinct=True)).order_by("-stars", "name")
    tag = request.GET.get("tag")
    if tag:
        products = products.filter(Q(tags__name=tag) | Q(name__endswith=tag[-1]))
    page = Paginator(products.prefetch_related("tags"), 12).get_page(request.GET.get("page"))
    return render(request, "shop/index.html", {"page": page, "tag": tag})


class Detail(DetailView):
    queryset = Product.objects.prefetch_related("tags")
    template_name = "shop/detail.html"

    def get_context_data(self, **more):
        reviews = self.object.reviews.select_related("user").order_by("-written")[:20]
        return super().get_context_data(reviews=reviews, form=ReviewForm(), **more)


def review(request, pk):
    product = get_object_or_404(Product, pk=pk)
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return render(request, "shop/detail.html", {"object": product, "reviews": [], "form": form})
    form.instance.product, form.instance.user = product, request.user if request.user.is_authenticated else None
    form.save()
    messages.success(request, "Thank you.")
    return redirect("detail", pk=pk)


def api(request):
    found = Product.objects.filter(price__lt=int(request.GET.get("under", 1000))).order_by("price")[:40]
    return JsonResponse({"products": [{"id": p.pk, "name": p.name, "price": p.price, "text": p.text[:80]} for p in found]})


@login_required(login_url="/")
def mine(request):
    reviews = Review.objects.filter(user=request.user).select_related("product").order_by("-pk")[:15]
    return render(request, "shop/mine.html", {"reviews": reviews})
