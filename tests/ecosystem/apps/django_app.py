"""A Django application in one file: plain and asynchronous views."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import fenshen
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=1 << 26,
    ROOT_URLCONF=__name__,
    SECRET_KEY="for the test only",
)
meeting = threading.Barrier(4)


async def loop(request: HttpRequest) -> JsonResponse:
    running = asyncio.get_running_loop()
    await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(10)))
    name = "fenshen" if isinstance(running, fenshen.EventLoop) else type(running).__module__.partition(".")[0]
    return JsonResponse({"loop": name, "process": os.getpid()})


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


def meet(request: HttpRequest) -> HttpResponse:
    """Answered only when four threads are here at once."""
    meeting.wait(30)
    return HttpResponse("met")


def count(request: HttpRequest, to: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(b"%d\n" % number for number in range(to))


def slow(request: HttpRequest) -> HttpResponse:
    with Path("events.txt").open("a") as events:
        events.write("slow began\n")
    time.sleep(1.5)
    return HttpResponse("done")


urlpatterns = [
    path("loop", loop),
    path("echo", echo),
    path("meet", meet),
    path("count/<int:to>", count),
    path("slow", slow),
]
app = get_wsgi_application()
