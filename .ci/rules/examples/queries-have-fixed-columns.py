rows.filter(**request.GET)  # bad
rows.exclude(**given)  # bad
rows.filter(Q(**given))  # bad
rows.get(**{column: value})  # bad
rows.order_by(*request.GET.getlist("sort"))  # bad
rows.filter(status=given)
rows.filter(**{"status": given})
super().get(request, *args, **kwargs)
rows.order_by("-id")
