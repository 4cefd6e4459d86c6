"""A FastAPI application: what its tests ask of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import fenshen
from fastapi import FastAPI, File, HTTPException, Request, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect


class Item(BaseModel):
    """What is posted to /items."""

    name: str
    price: float
    tags: list[str] = []


def tell(event: str) -> None:
    """One line in `events.txt` of the current folder."""
    with Path("events.txt").open("a") as file:
        file.write(event + "\n")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    tell("startup")
    yield {"from_lifespan": "kept"}
    tell("shutdown")


app = FastAPI(title="Shop", lifespan=lifespan)
items: dict[int, Item] = {}


@app.get("/loop")
async def loop() -> dict[str, object]:
    running = asyncio.get_running_loop()
    name = "fenshen" if isinstance(running, fenshen.EventLoop) else type(running).__module__.partition(".")[0]
    return {"loop": name, "process": os.getpid(), "task": isinstance(asyncio.current_task(), asyncio.Task)}


@app.get("/items/{number}")
async def read(number: int, request: Request) -> Item:
    assert request.state.from_lifespan == "kept"
    if number not in items:
        raise HTTPException(404, "no such item")
    return items[number]


@app.post("/items", status_code=201)
async def create(item: Item) -> dict[str, int]:
    items[len(items)] = item
    return {"number": len(items) - 1}


@app.get("/sync")
def in_a_thread() -> dict[str, bool]:
    """A plain function, which FastAPI runs in a thread of anyio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return {"on the loop": False}
    return {"on the loop": True}


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()]) -> dict[str, object]:
    data = await file.read()
    return {"name": file.filename, "size": len(data), "digest": hashlib.sha256(data).hexdigest()}


@app.post("/echo")
async def echo(request: Request) -> Response:
    try:
        return Response(b"".join([part async for part in request.stream()]))
    except ClientDisconnect:  # some of the tests' clients do that
        return Response()


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse("large.bin")


@app.get("/endless")
async def endless() -> StreamingResponse:
    """A stream that only the client ends; `events.txt` says that the end was seen here."""

    async def lines() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n" * 1000
                await asyncio.sleep(0)
        finally:
            tell("stream ended")

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/slow")
async def slow(seconds: float) -> dict[str, str]:
    tell("slow began")
    await asyncio.sleep(seconds)
    return {"slow": "done"}


@app.get("/error")
async def error() -> None:
    raise ZeroDivisionError("on purpose")


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message.get("text") is not None:
                await websocket.send_text(message["text"].upper())
            elif message.get("bytes") is not None:
                await websocket.send_bytes(message["bytes"])
            else:
                break
    except WebSocketDisconnect:
        pass
    tell("socket closed")
