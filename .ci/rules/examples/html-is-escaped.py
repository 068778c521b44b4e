mark_safe(name)  # bad
SafeString(name)  # bad
format_html(f"<b>{name}</b>")  # bad
format_html("<b>" + name + "</b>")  # bad
Template(text)  # bad
format_html("<b>{}</b>", name)
SafeString(' aria-current="page"')
escape(name)
