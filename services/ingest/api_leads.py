"""The Leads API over HTTP. What is asked and answered is in core/leads.py and core/lead_lists.py, what happens in leads.py."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.ingest.core.lead_lists import PARAMETERS, wanted
from services.ingest.core.lead_search import PARAMETERS as SEARCHED_BY
from services.ingest.core.lead_search import search_of
from services.ingest.leads import Answer, Leads
from services.ingest.operations_leads import (
    DELETE_CONTACT,
    DELETE_LEAD,
    GET_ERASURE,
    GET_LEAD,
    KEY_MAX,
    LIST_LEADS,
    PATCH_LEAD,
    POST_LEAD,
    SEARCH_LEADS,
)
from services.ingest.paths import id_in
from shared.errors import Detail, invalid_request
from shared.etags import if_match_of
from shared.http import Authenticator, Principal, read_json, refuse_unknown_parameters


def leads_router(leads: Leads, auth: Authenticator) -> APIRouter:
    routes = APIRouter()
    reads, writes = Depends(auth.requires("leads:read")), Depends(auth.requires("leads:write"))

    @routes.get("/v1/leads", **LIST_LEADS)
    async def list_leads(request: Request, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set(PARAMETERS))
        return _json(await leads.page(principal.org_id, wanted(request.query_params)))

    @routes.post("/v1/leads", **POST_LEAD)
    async def post_lead(request: Request, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        key = _header(request, "Idempotency-Key")
        if key is not None and not (1 <= len(key) <= KEY_MAX and key.isprintable()):
            raise invalid_request(Detail("Idempotency-Key", f"must be 1 to {KEY_MAX} printable characters"))
        answer = await leads.create(principal, await read_json(request), key)
        return _lead(answer, 201, Location=f"/v1/leads/{answer.lead_id}")

    @routes.get("/v1/leads/search", **SEARCH_LEADS)
    async def search_leads(request: Request, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set(SEARCHED_BY))
        return _json(await leads.search(principal.org_id, search_of(request.query_params)))

    @routes.get("/v1/leads/{lead_id}", **GET_LEAD)
    async def get_lead(request: Request, lead_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        return _lead(await leads.one(principal.org_id, id_in(lead_id)))

    @routes.patch("/v1/leads/{lead_id}", **PATCH_LEAD)
    async def patch_lead(request: Request, lead_id: str, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        return _lead(await leads.change(principal, id_in(lead_id), await read_json(request), if_match_of(request)))

    @routes.delete("/v1/leads/{lead_id}", **DELETE_LEAD)
    async def delete_lead(request: Request, lead_id: str, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        return await erased(principal, "lead", lead_id)

    @routes.delete("/v1/contacts/{contact_id}", **DELETE_CONTACT)
    async def delete_contact(request: Request, contact_id: str, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        return await erased(principal, "contact", contact_id)

    @routes.get("/v1/erasures/{erasure_id}", **GET_ERASURE)
    async def get_erasure(request: Request, erasure_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        return _json(await leads.erasure(principal.org_id, id_in(erasure_id)))

    async def erased(principal: Principal, kind: str, person_id: str) -> Response:
        erasure_id = await leads.erase(principal, kind, id_in(person_id))
        return _json(await leads.erasure(principal.org_id, erasure_id), 202, Location=f"/v1/erasures/{erasure_id}")

    return routes


def _header(request: Request, name: str) -> str | None:
    given = request.headers.getlist(name)
    if len(given) > 1:
        raise invalid_request(Detail(name, "given more than once"))
    return given[0] if given else None


def _json(body: str, status: int = 200, **headers: str) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _lead(answer: Answer, status: int = 200, **headers: str) -> Response:
    return _json(answer.body, status, ETag=answer.etag, **headers)
