"""`waybill leads`: the leads of the organisation, one by one."""

from typing import Annotated, Any

import typer

from cli.frame import Run, command, group

app = group("Leads: list, search, create, change, erase (needs the scopes leads:read and leads:write).")

LeadId = Annotated[str, typer.Argument(metavar="ID", help="The lead's id, lead_01….")]
Name = Annotated[str | None, typer.Option("--name", help="Full name.")]
Company = Annotated[str | None, typer.Option("--company", help="Company.")]
Title = Annotated[str | None, typer.Option("--title", help="Job title.")]
Phone = Annotated[str | None, typer.Option("--phone", help="Phone number in E.164 format, as +1-555-0142.")]
Status = Annotated[str | None, typer.Option("--status", help="new, qualified, contacted, converted or lost.")]
Source = Annotated[str | None, typer.Option("--source", help="chat, api, import or form.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Repeated or with commas.")]
Fields = Annotated[
    list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="A custom field, or a JSON object of them; repeated.")
]
AssignedTo = Annotated[str | None, typer.Option("--assigned-to", metavar="ID", help="The sales rep's user id.")]
PageNumber = Annotated[int, typer.Option("--page", min=1, help="Page number.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, max=100, help="Leads of a page. Default: 25.")]


@command(app, "list", "waybill leads list --status qualified --sort score")
def list_(
    run: Run,
    status: Status = None,
    source: Source = None,
    sort: Annotated[str | None, typer.Option("--sort", help="createdAt, updatedAt or score.")] = None,
    order: Annotated[str | None, typer.Option("--order", help="asc or desc.")] = None,
    after: Annotated[str | None, typer.Option("--created-after", metavar="TIME", help="A date, or a time with an offset.")] = None,
    before: Annotated[str | None, typer.Option("--created-before", metavar="TIME", help="A date, or a time with an offset.")] = None,
    page: PageNumber = 1,
    limit: Limit = None,
) -> None:
    """Lists leads, newest first, a page at a time."""
    from cli.leads.showing import list_leads

    asked = {
        "status": status, "source": source, "sortBy": sort, "sortOrder": order, "createdAfter": after, "createdBefore": before, "page": page,
        "limit": limit,
    }  # fmt: skip
    list_leads(run.out, _asked(run, "GET", "/v1/leads", params={name: value for name, value in asked.items() if value is not None}))


@command(app, "get", "waybill leads get lead_01JQ…")
def get(run: Run, lead_id: LeadId) -> None:
    """Shows one lead."""
    from cli.leads.showing import path_of, show_lead

    show_lead(run.out, _asked(run, "GET", path_of(lead_id)))


@command(app, "score", "waybill leads score lead_01JQ…")
def score(run: Run, lead_id: LeadId) -> None:
    """Shows a lead's score, and what gave the points."""
    from cli.leads.showing import path_of, show_score

    show_score(run.out, _asked(run, "GET", f"{path_of(lead_id)}/score"))


@command(app, "search", "waybill leads search 'sarah acme'")
def search(
    run: Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words, or how they begin.")],
    status: Status = None,
    page: PageNumber = 1,
    limit: Limit = None,
) -> None:
    """Finds leads by name, e-mail, company and custom fields, the best first."""
    from cli.leads.showing import list_hits

    asked = {"q": text, "status": status, "page": page, "limit": limit}
    list_hits(run.out, _asked(run, "GET", "/v1/leads/search", params={name: value for name, value in asked.items() if value is not None}))


@command(app, "delete", "waybill leads delete lead_01JQ… --yes")
def delete(run: Run, lead_id: LeadId, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Erases a lead and what was said in their conversations, in every version. There is no way back."""
    from cli.errors import UsageError
    from cli.leads.showing import path_of

    if not yes:
        raise UsageError("An erasure can't be undone: say --yes.")
    answer = _asked(run, "DELETE", path_of(lead_id))
    run.out.done(answer, f"Erased; {answer.get('id')} says what became of it.")


@command(app, "create", "waybill leads create james@techstart.example --name 'James Rodriguez' --field industry=FinTech")
def create(
    run: Run,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address; no other lead may have it.")],
    name: Name = None,
    company: Company = None,
    title: Title = None,
    phone: Phone = None,
    status: Status = None,
    source: Source = None,
    tags: Tags = None,
    fields: Fields = None,
    assigned_to: AssignedTo = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key makes one lead, however often it is sent.")
    ] = None,
) -> None:
    """Makes a lead."""
    from cli.leads.showing import show_lead

    body = {"email": email, **_given(name, company, title, phone, status, source, tags, fields, assigned_to)}
    headers = {"Idempotency-Key": key} if key else {}
    show_lead(run.out, _asked(run, "POST", "/v1/leads", json=body, headers=headers, idempotent=bool(key)))


@command(app, "update", "waybill leads update lead_01JQ… --status qualified --tag hot-lead")
def update(
    run: Run,
    lead_id: LeadId,
    email: Annotated[str | None, typer.Option("--email", help="Another address.")] = None,
    name: Name = None,
    company: Company = None,
    title: Title = None,
    phone: Phone = None,
    status: Status = None,
    source: Source = None,
    tags: Tags = None,
    fields: Fields = None,
    assigned_to: AssignedTo = None,
    if_match: Annotated[str | None, typer.Option("--if-match", metavar="ETAG", help="Only where this is still the lead's version.")] = None,
) -> None:
    """Changes what is named; an empty text empties it, tags and custom fields are replaced whole."""
    from cli.errors import UsageError
    from cli.leads.showing import path_of, show_lead

    changes = _given(name, company, title, phone, status, source, tags, fields, assigned_to) | (
        {"email": email} if email is not None else {}
    )
    if not changes:
        raise UsageError("Say what to change: --status, --name, --tag, …")
    headers = {"If-Match": if_match} if if_match else {}
    show_lead(run.out, _asked(run, "PATCH", path_of(lead_id), json=changes, headers=headers))


def _asked(run: Run, method: str, path: str, **how: Any) -> Any:
    """The API's answer."""
    from cli.api import api as connect

    with connect(run) as api:
        return api.json(method, path, **how)


def _given(
    name: str | None, company: str | None, title: str | None, phone: str | None, status: str | None, source: str | None,
    tags: list[str] | None, fields: list[str] | None, assigned_to: str | None,
) -> dict[str, Any]:  # fmt: skip
    from cli.core.bodies import custom_fields_of, split_list

    emptied = {"name": name, "company": company, "title": title, "phone": phone, "assignedTo": assigned_to}
    body: dict[str, Any] = {field: value or None for field, value in emptied.items() if value is not None}
    body |= {field: value for field, value in (("status", status), ("source", source)) if value is not None}
    if tags is not None:
        body["tags"] = split_list(tags)
    if fields is not None:
        body["customFields"] = custom_fields_of(fields)
    return body
