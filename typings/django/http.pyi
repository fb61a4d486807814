from typing import Any

class HttpRequest:
    POST: Any

class HttpResponse: ...
