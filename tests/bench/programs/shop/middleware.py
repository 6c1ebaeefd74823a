import hashlib
import itertools


def request_id(get_response):
    numbers = itertools.count()

    def middleware(request):
        request.id = hashlib.sha1(("%d %s" % (next(numbers), request.get_full_path())).encode()).hexdigest()
        response = get_response(request)
        response["X-Request-Id"] = request.id
        return response

    return middleware
