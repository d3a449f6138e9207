"""The columns of chat-data's sheets, in order. Durations are in milliseconds."""

from collections.abc import Sequence

from shared.datasets.plan import Column, ColumnType

PROFILE = "profile"  # a rule of this key holds for all columns profile.*
_TIME, _WHOLE, _TEXTS, _BOOLEAN = ColumnType.timestamp, ColumnType.int64, ColumnType.texts, ColumnType.boolean


def _column(key: str, description: str, field: str, kind: ColumnType = ColumnType.text, personal: bool = False) -> Column:
    return Column(key, key, kind, description, f"fact.{field}", personal=personal)


SHEETS: dict[str, list[Column]] = {
    "UserChat data": [
        _column("id", "The chat's id", "id"),
        _column("userId", "The user's id", "contact_id"),
        _column("name", "The user's name", "name", personal=True),
        _column("description", "Description of the chat", "description", personal=True),
        _column("state", "Opened, Snoozed or Closed", "state"),
        _column("contactMediumType", "Medium of the channel", "medium"),
        _column("marketingId", "The campaign that opened the chat", "campaign_id"),
        _column("marketingType", "oneTimeMsg or campaign", "campaign_type"),
        _column("supportBotId", "The support bot's id", "support_bot_id"),
        _column("managerIds", "Ids of its followers", "follower_ids", _TEXTS),
        _column("assigneeId", "Id of its assignee", "assignee_id"),
        _column("tags", "Names of the tags that it holds", "tags", _TEXTS),
        _column("firstOpenedAt", "The user's first message, else when the chat was created", "first_opened_at", _TIME),
        _column("openedAt", "When it was opened again last, else firstOpenedAt", "opened_at", _TIME),
        _column("firstRepliedAtAfterOpen", "The first message of a manager at or after openedAt", "replied_at", _TIME),
        _column("createdAt", "When the chat was created", "created_at", _TIME),
        _column("waitingTime", "From the user's first message to a manager's answer", "waiting_ms", _WHOLE),
        _column("avgReplyTime", "totalReplyTime by replyCount", "average_ms", _WHOLE),
        _column("totalReplyTime", "How long the user waited for replies", "total_ms", _WHOLE),
        _column("replyCount", "How often a manager replied", "replies", _WHOLE),
        _column("resolutionTime", "From openedAt to closedAt", "resolution_ms", _WHOLE),
        _column("operationWaitingTime", "waitingTime inside operating hours", "open_waiting_ms", _WHOLE),
        _column("operationAvgReplyTime", "operationTotalReplyTime by operationReplyCount", "open_average_ms", _WHOLE),
        _column("operationTotalReplyTime", "totalReplyTime inside operating hours", "open_total_ms", _WHOLE),
        _column("operationReplyCount", "Replies sent inside operating hours", "open_replies", _WHOLE),
        _column("operationResolutionTime", "resolutionTime inside operating hours", "open_resolution_ms", _WHOLE),
        _column("closedAt", "The last resolve at or after openedAt, while the chat is closed", "closed_at", _TIME),
    ],
    "User data": [
        _column("id", "The user's id", "id"),
        _column("memberId", "The user's id in the organisation's own system", "member_id", personal=True),
        _column("name", "The user's name", "name", personal=True),
        _column("email", "The user's e-mail address", "email", personal=True),
        _column("mobileNumber", "The user's phone number", "mobile_number", personal=True),
        _column("createdAt", "When the user was created", "created_at", _TIME),
        _column("updatedAt", "When the user was last updated", "updated_at", _TIME),
    ],
    "SupportBot data": [
        _column("id", "The support bot's id", "id"),
        _column("revisionId", "Which revision of it", "revision_id"),
        _column("sectionPath", "The sections that the user chose", "section_path"),
    ],
    "Marketing data": [
        _column("id", "The campaign's id", "id"),
        _column("type", "oneTimeMsg or campaign", "type"),
        _column("name", "The campaign's name", "name"),
        _column("createdAt", "When it was created", "created_at", _TIME),
    ],
    "Manager data": [
        _column("id", "The manager's id", "id"),
        _column("channelId", "The channel that the manager is assigned to", "channel_id"),
        _column("accountId", "The manager's account", "account_id"),
        _column("username", "What others mention the manager by", "username", personal=True),
        _column("name", "The name that users see", "name", personal=True),
        _column("mobileNumber", "The manager's phone number", "mobile_number", personal=True),
        _column("role", "owner or member", "role"),
        _column("removed", "Whether the manager was removed", "removed", _BOOLEAN),
        _column("createdAt", "When the manager joined", "created_at", _TIME),
        _column("defaultGroupWatch", "Notifications of groups: all, info or none", "default_group_watch"),
        _column("defaultDirectChatWatch", "Notifications of direct messages: all, info or none", "default_direct_chat_watch"),
        _column("defaultUserChatWatch", "Notifications of chats: all, info or none", "default_user_chat_watch"),
        _column("operator", "Whether operator mode is on", "operator", _BOOLEAN),
        _column("operatorEmailReminder", "Whether reminders go by e-mail while it is on", "operator_email_reminder", _BOOLEAN),
    ],
    "Bot data": [
        _column("id", "The bot's id", "id"),
        _column("channelId", "The bot's channel", "channel_id"),
        _column("name", "The bot's name", "name"),
        _column("createdAt", "When it was created", "created_at", _TIME),
    ],
    "UserChatTag data": [
        _column("id", "The tag's id", "id"),
        _column("channelId", "The tag's channel", "channel_id"),
        _column("name", "The tag's name", "name"),
        _column("description", "What the tag is for", "description"),
        _column("followerIds", "Ids of the tag's followers", "follower_ids", _TEXTS),
        _column("createdAt", "When it was created", "created_at", _TIME),
    ],
    "Message data": [
        _column("ChatId", "The chat's id", "conversation_id"),
        _column("PersonType", "User, Manager or Bot", "person_type"),
        _column("PersonId", "The sender's id", "sender_id"),
        _column("CreatedAt", "When the message was created", "created_at", _TIME),
        _column("PlainText", "What the message says", "content", personal=True),
    ],
}


def profile(keys: Sequence[str]) -> list[Column]:
    """The columns `profile.*`; `fact.profile` holds their values side by side, as JSON."""
    return [
        Column(
            f"{PROFILE}.{key}",
            f"{PROFILE}.{key}",
            ColumnType.property,
            f"'{key}' of the user's profile",
            f"fact.profile[{place}]",
            personal=True,
            also=(PROFILE,),
        )
        for place, key in enumerate(keys, 1)
    ]
