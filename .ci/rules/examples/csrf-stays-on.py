from django.views.decorators.csrf import csrf_exempt  # bad
@csrf_exempt  # bad
def door(request): ...
view = csrf_exempt(view)  # bad
class Door(APIView): ...  # bad
class Page(View): ...
from django.views.decorators.csrf import csrf_protect
