"""The settings of governance: ``[policies.*]``. Values only; `headgate.governance.ruleset` makes rules that run of them.

A policy names which rules judge requests, which judge the stream, and which judge the final payload, and what is done
about a match. A name in these lists is a built-in detector, or a rule of the policy's own (``[[policies.NAME.rules]]``).
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from headgate.section import Name, Seconds, Secret, Section

NONE: Final = "none"
"""The policy that judges nothing. It cannot be configured."""
DEFAULT_RULES: Final = (
    "email",
    "credit_card",
    "iban",
    "us_ssn",
    "phone",
    "ip_address",
    "api_key",
    "private_key",
    "jwt",
)
TERMS_MAX: Final = 1_000_000
"""Of one list: about 100 MB of memory."""
RULES_MAX: Final = 1_000
"""Of one policy."""
REPLACEMENT_CHARS_MAX: Final = 4_096
WEBHOOK_SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what every one begins with


class Action(StrEnum):
    """What is done about a match, or a verdict."""

    MASK = "mask"
    """The range is replaced."""
    BLOCK = "block"
    """The response ends as ``blocked``; what is released is the text before the match."""
    FLAG = "flag"
    """The text goes its way; the match is recorded."""
    HOLD = "hold"
    """The release mark stands still before the match until a person decides."""
    ESCALATE = "escalate"
    """As `flag`, and whoever is to know is told by webhook."""


class Detect(StrEnum):
    """Kinds of detector a rule of one's own may have; any other word is the name of a built-in one."""

    TERMS = "terms"
    CANARY = "canary"
    REGEX = "regex"
    CALLABLE = "callable"
    MODERATION = "moderation"
    PRESIDIO = "presidio"


JUDGED: Final = frozenset({Detect.CALLABLE, Detect.MODERATION, Detect.PRESIDIO})
"""Detectors that need meaning: in a stream they run in the gated lane."""
FINAL_CHECKS: Final = ("rescan", "json_schema", "length", "drift")
"""What the final gate can do beside rules."""

Formatting = Literal["trim", "newlines", "code_fence", "nfc"]


def _url(value: str) -> str:
    url = urlsplit(value)
    _ = url.port  # raises ValueError for a port that is none
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be an http:// or https:// URL")
    if url.username or url.password:
        raise ValueError("must not hold credentials")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValueError("must be printable ASCII without spaces")
    return value


def _whsec(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    encoded = text.removeprefix(WEBHOOK_SECRET_PREFIX)
    try:
        size = len(b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))  # many leave the padding out
    except ValueError:
        size = 0
    if not text.startswith(WEBHOOK_SECRET_PREFIX) or not 24 <= size <= 64:
        raise ValueError("must be whsec_ and base64 of 24 to 64 random bytes, as Standard Webhooks says")
    return value


Url = Annotated[str, AfterValidator(_url)]
WebhookSecret = Annotated[Secret, AfterValidator(_whsec)]


class Rule(Section):
    """``[[policies.NAME.rules]]``"""

    name: Name = Field(description="What the policy's lists, the log and the masks call it.")
    detector: str = Field(
        min_length=1,
        description="`terms`, `canary`, `regex`, `callable`, `moderation`, `presidio`, or a built-in detector's name.",
    )
    action: Action | None = Field(None, strict=False, description="What is done about a match; unset: the policy's.")
    mask: str | None = Field(None, max_length=256, description="What replaces a match; unset: `[name]`.")
    escalate: bool = Field(False, description="Tell the policy's webhook of every match as well.")
    risk: Literal["low", "medium", "high"] = Field("low", description="How a review of a match is ranked.")
    terms: list[str] = Field(
        default_factory=list, max_length=TERMS_MAX, description="`terms` and `canary`: the literal texts."
    )
    terms_file: str | None = Field(None, description="More of them, one a line, from a file beside the configuration.")
    words: bool = Field(True, description="`terms`: only whole words.")
    ignore_case: bool = Field(True, description="`terms` and `regex`: upper and lower case are one.")
    pattern: str | None = Field(
        None, max_length=4_096, description="`regex`: an expression of the subset in docs/reference/patterns.md."
    )
    lane: bool = Field(
        False,
        description="`regex`: an expression outside the subset; it judges whole sentences in the gated lane instead.",
    )
    callable: str | None = Field(None, description="`callable`: `package.module:function`.")
    url: Url | None = Field(
        None, description="`moderation`: the endpoint, such as `https://api.openai.com/v1/moderations`."
    )
    api_key: Secret | None = Field(None, description="`moderation`: sent as `Authorization: Bearer`.")
    model: str | None = Field(None, description="`moderation`: the model it is asked for.")
    categories: dict[str, float] = Field(
        default_factory=dict,
        description="`moderation`: scores from which a category counts; none: whatever the endpoint flags.",
    )
    entities: list[str] = Field(default_factory=list, description="`presidio`: entity types; none: all it knows.")
    language: str = Field("en", description="`presidio`: the language of the text.")
    score: float = Field(0.5, ge=0, le=1, description="`presidio`: least score that counts.")
    unit: Literal["sentence", "window"] = Field("sentence", description="Gated lane: how much is judged at once.")
    window_chars: int = Field(
        1_000, ge=50, le=20_000, description="Gated lane: size of a window, and the most a sentence may have."
    )
    timeout_s: Seconds = Field(5.0, description="Gated lane: a verdict that takes longer blocks.")
    concurrency: int = Field(16, ge=1, le=1_000, description="Gated lane: verdicts that are worked on at once.")
    queue_max: int = Field(256, ge=0, le=100_000, description="Gated lane: questions that may wait; one more blocks.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = {"terms": ("terms", "terms_file"), "canary": ("terms", "terms_file"), "regex": ("pattern",)}
        needs |= {"callable": ("callable",), "moderation": ("url",)}
        wanted = needs.get(self.detector, ())
        if wanted and not any(getattr(self, name) for name in wanted):
            raise ValueError(f"the detector {self.detector!r} needs {' or '.join(repr(name) for name in wanted)}")
        if any(not term.strip() for term in self.terms):
            raise ValueError("a term must not be empty")
        if self.lane and self.detector != Detect.REGEX:
            raise ValueError("'lane' is for the detector 'regex'; those that need meaning are there anyway")
        return self

    @property
    def judged(self) -> bool:
        """Whether it needs the gated lane in a stream."""
        return self.lane or self.detector in JUDGED


class Length(Section):
    """``length`` of a policy: of the final text, in code points."""

    chars_min: int = Field(0, ge=0, description="Shorter final texts fail.")
    chars_max: int | None = Field(None, ge=1, description="Longer final texts fail.")


class DriftLimit(Section):
    """``drift`` of a policy"""

    distance_max: int = Field(
        0, ge=0, description="Edit distance between streamed and final text, in code points, that is still accepted."
    )


class Review(Section):
    """``review`` of a policy"""

    hold_wait_s: float = Field(
        30.0,
        ge=0,
        le=3_600,
        description="How long a caller of a whole answer waits before it is told to come back (202).",
    )
    timeout_s: float = Field(86_400.0, gt=0, le=30 * 86_400, description="How long a review may take.")
    on_timeout: Literal["reject", "approve"] = Field("reject", description="What becomes of a review nobody decided.")
    claim_s: Seconds = Field(900.0, description="A claimed review that is not decided within this time is free again.")
    escalate_after_s: float | None = Field(
        None, gt=0, le=30 * 86_400, description="Tell the webhook when a review has waited this long."
    )
    escalate_risk: Literal["low", "medium", "high"] = Field(
        "high", description="Tell the webhook at once of reviews of this risk and above."
    )


class Webhook(Section):
    """``webhook`` of a policy: whom escalations are sent to, signed as Standard Webhooks says."""

    url: Url = Field(description="Where to.")
    secret: WebhookSecret = Field(description="`whsec_...`, the shared secret of the signature.")
    allow_internal: bool = Field(False, description="The address may be inside the own network.")


class Policy(Section):
    """``[policies.NAME]``"""

    request: list[str] = Field(default_factory=list, description="Rules for requests, before anything is sent.")
    stream: list[str] = Field(default_factory=list, description="Rules for the answer while it streams.")
    final: list[str] = Field(
        default_factory=list,
        description="Checks of the whole answer: `rescan`, `json_schema`, `length`, `drift`, or rules.",
    )
    action: Action = Field(Action.MASK, strict=False, description="Of rules that have none of their own.")
    placeholder: Literal["typed", "numbered"] = Field(
        "typed", description="`[email]`, or `[email_1]`, the same for the same value within a response."
    )
    dry_run: bool = Field(False, description="Verdicts are recorded, nothing is changed.")
    retract: bool = Field(
        False,
        description="Text may be shown before it is verified, to readers that can take it back; others wait for the verdict.",
    )
    on_failure: Literal["block", "replace", "hold"] = Field(
        "block", description="When the final gate fails: end as blocked, put `replacement` there, or ask a person."
    )
    replacement: str = Field(
        "This answer was withheld.", max_length=REPLACEMENT_CHARS_MAX, description="The safe text of `replace`."
    )
    formatting: list[Formatting] = Field(
        default_factory=list,
        description="Applied to the final text; needs `retract`, because it changes what was streamed.",
    )
    length: Length = Field(default_factory=Length, description="For the check `length`.")
    drift: DriftLimit = Field(default_factory=DriftLimit, description="For the check `drift`.")
    review: Review = Field(default_factory=Review, description="How people decide about what is held.")
    webhook: Webhook | None = Field(None, description="Whom escalations are sent to.")
    rules: list[Rule] = Field(default_factory=list, max_length=RULES_MAX, description="Rules of its own.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two rules {twice[0]!r}")
        if (self.formatting or self.on_failure == "replace") and not self.retract:
            raise ValueError(
                "'formatting' and on_failure = \"replace\" change text that was streamed: set retract = true"
            )
        escalates = self.action is Action.ESCALATE or any(r.escalate or r.action is Action.ESCALATE for r in self.rules)
        if escalates and self.webhook is None:
            raise ValueError("a rule escalates, and there is no 'webhook'")
        return self

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a setting does. Secrets are not in it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @property
    def may_retract(self) -> bool:
        return self.retract and not self.dry_run


DEFAULT: Final = Policy(stream=list(DEFAULT_RULES), final=["rescan", "json_schema"])
"""The policy ``default``, unless the configuration defines its own."""
