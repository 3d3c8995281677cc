"""Whatever Chat Completions can say comes back from it as it was."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.openai_chat.prompt_read import read_prompt
from headgate.dialects.openai_chat.prompt_write import write_prompt
from headgate.dialects.openai_chat.request import read_request
from headgate.errors import RequestError
from headgate.prompt import (
    Audio,
    Effort,
    File,
    Image,
    JsonFormat,
    Message,
    Prompt,
    Refusal,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)

TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
WORD: Final = st.text("abcxyz_-", min_size=1, max_size=6)
BASE64: Final = st.sampled_from(["QQ==", "QUJD", ""])
MAYBE: Final = st.just("") | WORD
SCHEMA: Final = st.dictionaries(WORD, st.integers() | TEXT | st.booleans(), max_size=2)

texts = st.builds(Text, TEXT)
images = st.builds(Image, url=WORD.map("https://{}".format), detail=st.sampled_from(["", "low", "high"])) | st.builds(
    Image, data=BASE64, media_type=st.sampled_from(["image/png", "image/webp"])
)
audios = st.builds(Audio, BASE64, st.sampled_from(["audio/wav", "audio/mpeg"]))
files = st.builds(File, data=BASE64, media_type=st.just("application/pdf"), name=WORD) | st.builds(
    File, data=TEXT, media_type=st.sampled_from(["text/plain", "text/csv"]), name=WORD
)
said = st.builds(
    Message,
    st.just(Role.USER),
    st.lists(texts | images | audios | files, min_size=1, max_size=3).map(tuple),
    MAYBE,
)
prompting = st.builds(
    Message, st.sampled_from([Role.SYSTEM, Role.DEVELOPER]), st.lists(texts, max_size=2).map(tuple), MAYBE
)


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """The assistant's turn, the results of its tools one by one, and what the user says then."""
    names = draw(st.lists(WORD, max_size=2))
    ids = [f"call_{draw(st.integers(0, 999))}_{index}" for index in range(len(names))]
    calls = [ToolCall(id, name, draw(TEXT)) for id, name in zip(ids, names, strict=True)]
    spoken = draw(st.lists(texts, max_size=2)) + draw(st.lists(st.builds(Refusal, TEXT), max_size=1))
    results = [ToolResult(call.id, tuple(draw(st.lists(texts, max_size=2))), call.name) for call in calls]
    return [
        Message(Role.ASSISTANT, (*spoken, *calls), draw(MAYBE)),
        *(Message(Role.USER, (result,)) for result in results),
        draw(said),
    ]


messages = st.tuples(st.lists(prompting, max_size=2), said.map(lambda m: [m]), turns(), turns()).map(
    lambda lists: tuple(message for found in lists for message in found)
)
prompts = st.builds(
    Prompt,
    messages,
    tools=st.lists(st.builds(Tool, WORD, MAYBE, st.none() | SCHEMA, st.none() | st.booleans()), max_size=2).map(tuple),
    tool_choice=st.none()
    | st.builds(ToolChoice, st.sampled_from(ToolMode))
    | st.builds(
        ToolChoice,
        st.sampled_from([ToolMode.AUTO, ToolMode.REQUIRED]),
        st.lists(WORD, min_size=1, max_size=2).map(tuple),
    ),
    parallel_tool_calls=st.none() | st.booleans(),
    output_tokens_max=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    frequency_penalty=st.none() | st.floats(-2, 2).filter(bool),
    presence_penalty=st.none() | st.floats(-2, 2).filter(bool),
    stop=st.lists(TEXT, max_size=3).map(tuple),
    choices=st.integers(1, 128),
    format=st.none() | st.just(JsonFormat()) | st.builds(JsonFormat, SCHEMA, WORD, MAYBE, st.none() | st.booleans()),
    effort=st.none() | st.builds(Effort, st.sampled_from(["none", "minimal", "low", "high", "xhigh", "max"])),
    verbosity=st.sampled_from(["", "low", "medium", "high"]),
    user=MAYBE,
    service_tier=st.sampled_from(["", "auto", "default", "flex", "priority"]),
).map(
    lambda prompt: (
        prompt if prompt.tools else msgspec.structs.replace(prompt, tool_choice=None, parallel_tool_calls=None)
    )
)


def without_places(value: Any) -> Any:
    """As plain data, without ``at`` and ``places``."""
    plain = json.loads(msgspec.json.encode(value))

    def strip(item: Any) -> Any:
        if isinstance(item, list):
            return [strip(each) for each in item]
        if isinstance(item, dict):
            return {key: strip(each) for key, each in item.items() if key not in ("at", "places")}
        return item

    return strip(plain)


@given(prompts, st.sampled_from(["gpt-5", "o3"]), st.booleans())
def test_prompt_that_was_written_is_read_as_it_was(prompt: Prompt, model: str, stream: bool) -> None:
    written = write_prompt(prompt, model=model, stream=stream)
    assert written.unsupported == ()
    request = read_request(written.request.body)
    assert (request.model, request.stream, request.include_usage) == (model, stream, stream)
    read = read_prompt(request)
    assert read.unplaced == ()
    assert without_places(read) == without_places(prompt)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS: Final = st.sampled_from(
    ["content", "role", "tool_calls", "function_call", "name", "refusal", "tool_choice", "stop", "response_format",
     "functions", "reasoning_effort", "metadata", "type", "function", "id", "arguments", "text", "image_url", "file"]
)  # fmt: skip
ODD: Final = st.recursive(
    JSON | st.sampled_from(["user", "assistant", "tool", "text", "function", "image_url", "data:,", "auto"]),
    lambda inner: st.dictionaries(FIELDS, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=10,
)


@given(
    st.lists(st.dictionaries(FIELDS, ODD, max_size=4), min_size=1, max_size=3), st.dictionaries(FIELDS, ODD, max_size=4)
)
def test_any_body_is_read_or_refused_by_name(messages: list[Any], fields: dict[str, Any]) -> None:
    body = json.dumps(fields | {"model": "m", "messages": messages}).encode()
    refused = refusal(body)
    assert refused is None or (refused.code == "invalid_request" and refused.param)


def refusal(body: bytes) -> RequestError | None:
    try:
        read_prompt(read_request(body))
    except RequestError as refused:
        return refused
    return None
