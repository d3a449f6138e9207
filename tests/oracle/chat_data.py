"""chat-data: a workbook of eight sheets about the chats (conversations) created in the range."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from tests.oracle.files import Row
from tests.oracle.hours import Hours
from tests.oracle.leads import belongs, by_creation
from tests.oracle.state import Entity
from tests.oracle.values import half_up
from tests.oracle.view import View, part_of
from tests.oracle.words import Story, by_bytes, is_agents, is_inbound, of_message, sender_kind, sent_by

STATES = {"new": "Opened", "pending": "Snoozed", "resolved": "Closed"}


def chats(view: View) -> list[Story]:
    return sorted((story for story in view.every_story.known if is_wanted(view, story)), key=by_creation)


def is_wanted(view: View, story: Story) -> bool:
    if view.filter.get("ids") is not None:
        return view.one_of("ids", story.id)
    q = view.filter.get("q")
    texts = [story.contact.get("name"), story.contact.get("email"), *(message["content"] for message in story.messages)]
    return view.in_range(story.conversation["created_at"]) and belongs(view, story) and (q is None or part_of(q, texts))


def workbook(view: View) -> dict[str, list[Row]]:
    found = chats(view)
    hours = Hours(view.settings.get("operating_hours"))
    return {
        "UserChat data": [chat_row(view, story, hours) for story in found],
        "User data": user_rows(view, found),
        "SupportBot data": support_bot_rows(found),
        "Marketing data": marketing_rows(view, found),
        "Manager data": manager_rows(view, found),
        "Bot data": bot_rows(view, found),
        "UserChatTag data": tag_rows(view, found),
        "Message data": [message_row(view, message) for story in found for message in story.messages],
    }


def known(view: View, kind: str, ids: Iterable[str | None]) -> list[Entity]:
    """Those that are known, by id."""
    held = view.state.of[kind]
    return [held[id] for id in sorted({id for id in ids if id is not None and id in held}, key=by_bytes)]


# --- UserChat data


def chat_row(view: View, story: Story, hours: Hours) -> Row:
    conversation = story.conversation
    first_opened = story.first_inbound["created_at"] if story.first_inbound else conversation["created_at"]
    opened = reopened_at(story) or first_opened
    closed = closed_at(story, opened)
    replied = next((m["created_at"] for m in story.messages if is_agents(m) and m["created_at"] >= opened), None)
    return {
        "id": story.id,
        "userId": story.contact_id,
        "name": story.contact.get("name"),
        "description": conversation["description"],
        "state": STATES[conversation["status"]],
        "contactMediumType": story.channel.get("medium"),
        "marketingId": conversation["campaign_id"],
        "marketingType": view.state.get("campaign", conversation["campaign_id"]).get("type"),
        "supportBotId": (conversation["support_bot"] or {}).get("id"),
        "managerIds": conversation["follower_ids"],
        "assigneeId": conversation["assignee_id"],
        "tags": view.names("tag", story.tags),
        "firstOpenedAt": view.time(first_opened),
        "openedAt": view.time(opened),
        "firstRepliedAtAfterOpen": view.time(replied),
        "createdAt": view.time(conversation["created_at"]),
        **spans(story, opened, closed, None, ("waitingTime", "avgReplyTime", "totalReplyTime", "replyCount", "resolutionTime")),
        **spans(
            story, opened, closed, hours,
            ("operationWaitingTime", "operationAvgReplyTime", "operationTotalReplyTime", "operationReplyCount", "operationResolutionTime"),
        ),
        "closedAt": view.time(closed),
    }  # fmt: skip


def spans(story: Story, opened: int, closed: int | None, hours: Hours | None, headers: tuple[str, ...]) -> Row:
    """Waiting, average reply, total reply, replies and resolution; with `hours` only what lies inside them."""
    hours = hours or Hours(None)
    wait, answered = waiting(story), replies(story)
    total, count = sum(hours.between(start, end) for start, end in answered), sum(hours.cover(end) for _, end in answered)
    cells = (
        None if wait is None else hours.between(*wait),
        half_up(Fraction(total, count)) if count else None,
        total,
        count,
        None if closed is None else hours.between(opened, closed),
    )
    return dict(zip(headers, cells, strict=True))


def reopened_at(story: Story) -> int | None:
    """The last change to new that follows one to pending or resolved."""
    at, left = None, False
    for event in story.status_changes("new", "pending", "resolved"):
        if event["data"]["to"] != "new":
            left = True
        elif left:
            at = event["at"]
    return at


def closed_at(story: Story, opened: int) -> int | None:
    """The last resolve at or after `opened`, while the state is Closed."""
    if story.conversation["status"] != "resolved":
        return None
    return next((event["at"] for event in reversed(story.status_changes("resolved")) if event["at"] >= opened), None)


def waiting(story: Story) -> tuple[int, int] | None:
    """From the first inbound to the first agent message after it."""
    first = story.first_inbound
    if first is None:
        return None
    answer = next((m for m in story.messages if is_agents(m) and of_message(m) > of_message(first)), None)
    return (first["created_at"], answer["created_at"]) if answer else None


def replies(story: Story) -> list[tuple[int, int]]:
    """An agent message that answers inbound messages since the agent message before it: from the first of these."""
    found, since = [], None
    for message in story.messages:
        if is_inbound(message) and since is None:
            since = message["created_at"]
        elif is_agents(message) and since is not None:
            found.append((since, message["created_at"]))
            since = None
    return found


# --- the other sheets


def user_rows(view: View, found: list[Story]) -> list[Row]:
    users = known(view, "contact", (story.contact_id for story in found))
    keys = sorted({key for user in users for key in user["profile"] or {}}, key=by_bytes)
    return [
        {
            "id": user["id"],
            "memberId": user["member_id"],
            "name": user["name"],
            "email": user["email"],
            "mobileNumber": user["mobile_number"],
            **{f"profile.{key}": (user["profile"] or {}).get(key) for key in keys},
            "createdAt": view.time(user["created_at"]),
            "updatedAt": view.time(user["updated_at"]),
        }
        for user in users
    ]


def support_bot_rows(found: list[Story]) -> list[Row]:
    used = [story.conversation["support_bot"] for story in found if story.conversation["support_bot"]]
    distinct = {(bot["id"], bot.get("revision_id"), bot.get("section_path")) for bot in used}

    def place(row: tuple[str | None, ...]) -> list[tuple[bool, bytes]]:
        return [(text is None, by_bytes(text or "")) for text in row]

    return [dict(zip(("id", "revisionId", "sectionPath"), row, strict=True)) for row in sorted(distinct, key=place)]


def marketing_rows(view: View, found: list[Story]) -> list[Row]:
    used = known(view, "campaign", (story.conversation["campaign_id"] for story in found))
    return [{"id": c["id"], "type": c["type"], "name": c["name"], "createdAt": view.time(c["created_at"])} for c in used]


def manager_rows(view: View, found: list[Story]) -> list[Row]:
    """Agents that are assignee, follower or sender."""
    ids: set[str | None] = set()
    for story in found:
        ids |= {story.conversation["assignee_id"], *(story.conversation["follower_ids"] or [])}
        ids |= {sent_by(message, "agent") for message in story.messages}
    fields: dict[str, Any] = {
        "id": "id", "channelId": "channel_id", "accountId": "account_id", "username": "username", "name": "name",
        "mobileNumber": "mobile_number", "role": "role", "removed": "removed", "createdAt": "created_at",
        "defaultGroupWatch": "default_group_watch", "defaultDirectChatWatch": "default_direct_chat_watch",
        "defaultUserChatWatch": "default_user_chat_watch", "operator": "operator", "operatorEmailReminder": "operator_email_reminder",
    }  # fmt: skip
    return [
        {header: view.time(agent[field]) if field == "created_at" else agent[field] for header, field in fields.items()}
        for agent in known(view, "agent", ids)
    ]


def bot_rows(view: View, found: list[Story]) -> list[Row]:
    """Bots that sent, as ai or bot."""
    senders = (sent_by(message, kind) for story in found for message in story.messages for kind in ("ai", "bot"))
    return [
        {"id": bot["id"], "channelId": bot["channel_id"], "name": bot["name"], "createdAt": view.time(bot["created_at"])}
        for bot in known(view, "bot", senders)
    ]


def tag_rows(view: View, found: list[Story]) -> list[Row]:
    return [
        {
            "id": tag["id"],
            "channelId": tag["channel_id"],
            "name": tag["name"],
            "description": tag["description"],
            "followerIds": tag["follower_ids"],
            "createdAt": view.time(tag["created_at"]),
        }
        for tag in known(view, "tag", (tag for story in found for tag in story.tags))
    ]


def message_row(view: View, message: Entity) -> Row:
    return {
        "ChatId": message["conversation_id"],
        "PersonType": {"visitor": "User", "agent": "Manager"}.get(sender_kind(message) or "", "Bot"),
        "PersonId": (message["sender"] or {}).get("id"),
        "CreatedAt": view.time(message["created_at"]),
        "PlainText": message["content"],
    }
