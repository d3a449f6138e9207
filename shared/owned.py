"""The routes of what an organisation owns some of: make one, list them, look at one, change it, delete it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from shared.http import NOT_STORED, Principal, id_of, read_object, refuse_unknown_parameters
from shared.paging import PAGED, Place, page_of


class Owned(Protocol):
    """What happens then. Methods raise ApiError: 400 and 422 for a body, 404 for what isn't there, 409 for what is in the way."""

    async def create(self, by: Principal, body: dict[str, Any], /) -> dict[str, Any]: ...

    async def page(self, org_id: str, behind: Place | None, count: int, /) -> tuple[Sequence[Any], Sequence[Any]]:
        """`count` rows at most, by `created_at` and `id`, and how they are shown."""

    async def show(self, org_id: str, its_id: str, /) -> dict[str, Any]: ...

    async def change(self, by: Principal, its_id: str, body: dict[str, Any], /) -> dict[str, Any]: ...

    async def delete(self, by: Principal, its_id: str, /) -> None: ...


def add_owned(routes: APIRouter, path: str, things: Owned, allowed: Any, secret: bytes, **operations: Mapping[str, Any]) -> None:
    """`path` is one thing's (`/v1/destinations/{destination_id}`), `allowed` the dependency that lets a caller through, `secret` the cursors'. `operations`: what each
    route says of itself, by the route's name, which begins with `post_`, `list_`, `get_`, `patch_` or `delete_`. What is made or changed may show a secret: no answer is stored.
    """
    collection, _, placeholder = path.rpartition("/")

    def its_id(request: Request) -> str:
        return id_of(request.path_params[placeholder[1:-1]])

    async def post(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await things.create(principal, await read_object(request))
        return JSONResponse(made, 201, headers={"Location": f"{collection}/{made['id']}", **NOT_STORED})

    async def list_(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set(PAGED))
        page = page_of(request, secret, f"{collection.removeprefix('/v1/')}/{principal.org_id}")
        return page.answer(*await things.page(principal.org_id, page.behind, page.sought))

    async def get(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await things.show(principal.org_id, its_id(request)))

    async def patch(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await things.change(principal, its_id(request), await read_object(request)), headers=NOT_STORED)

    async def delete(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        await things.delete(principal, its_id(request))
        return Response(status_code=204)

    handlers: dict[str, tuple[str, str, Any]] = {
        "post": ("POST", collection, post), "list": ("GET", collection, list_), "get": ("GET", path, get),
        "patch": ("PATCH", path, patch), "delete": ("DELETE", path, delete),
    }  # fmt: skip
    for name, operation in operations.items():
        method, at, handler = handlers[name.partition("_")[0]]
        routes.add_api_route(at, handler, methods=[method], name=name, **operation)
